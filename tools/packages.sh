# SPDX-License-Identifier: BSD-3-Clause
# What building, running and testing need, by the names of Debian 12 and Ubuntu 24.04, and how the
# tools install it. Sourced by tools/check and tools/quickstart.

# mpirun 4.1 does not start without ssh, not even on one machine.
build_packages=(
    build-essential pkg-config meson ninja-build
    libopenmpi-dev openmpi-bin openssh-client libopenblas-dev libhdf5-dev libconfig-dev
    libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev libmd-dev zlib1g-dev libsleef-dev
    libdnnl-dev libcmocka-dev
)
test_packages=(python3 python3-h5py)
slow_packages=(slurm-wlm munge python3-venv)

# The packages of "$@" that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            echo "$package"
    done
}

# Install what is missing of "$@"; silent when nothing is.
install_missing() {
    local missing sudo=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        check_by_hand "$@"
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing packages, and neither root nor sudo to install them. Ask for:" >&2
            echo "    apt-get install ${missing[*]}" >&2
            exit 2
        fi
        sudo=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}" >/dev/null
}

# Elsewhere nothing is installed for the user: say what is not there, and stop.
check_by_hand() {
    local lacking=() tool library
    for tool in cc pkg-config meson ninja mpirun python3; do
        command -v "$tool" >/dev/null || lacking+=("$tool")
    done
    if command -v pkg-config >/dev/null; then
        for library in openblas libconfig jansson libpcre2-8 libutf8proc libxxhash libmd zlib cmocka; do
            pkg-config --exists "$library" || lacking+=("$library")
        done
        pkg-config --exists hdf5 || pkg-config --exists hdf5-serial ||
            pkg-config --exists hdf5-openmpi || lacking+=(hdf5)
        pkg-config --exists ompi-c || pkg-config --exists mpi-c || lacking+=(openmpi)
    fi
    [ ${#lacking[@]} -eq 0 ] && return
    echo "This is not a Debian or Ubuntu system, so nothing is installed for you." >&2
    echo "Please install, with development files: ${lacking[*]}" >&2
    echo "(on Debian: ${*})" >&2
    exit 2
}
