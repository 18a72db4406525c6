# SPDX-License-Identifier: BSD-3-Clause
# Set up and build a folder; says nothing unless something is to be done. Sourced by tools/check and
# tools/quickstart, which stand at the top of the project by then.

# build_in FOLDER [MESON OPTION...]
build_in() {
    local build=$1 log=$1/tools.log
    shift
    if [ ! -f "$build/build.ninja" ]; then
        echo "setting up $build/"
        mkdir -p "$build"
        run_logged "$log" meson setup "$build" "$@"
    elif ! has_options "$build" "$@"; then
        run_logged "$log" meson configure "$build" "$@"
    fi
    if ! ninja -C "$build" -n | grep -q "no work to do"; then
        echo "building: a minute or two on two cores (log: $log)"
        run_logged "$log" ninja -C "$build"
    fi
}

# has_options FOLDER -Dname=value...: true when it is configured with all of these already.
has_options() {
    local build=$1 option
    shift
    for option in "$@"; do
        option=${option#-D}
        meson introspect "$build" --buildoptions | python3 -c '
import json, sys
name, value = sys.argv[1].split("=", 1)
sys.exit(not any(o["name"] == name and o["value"] == value for o in json.load(sys.stdin)))
' "$option" || return 1
    done
}

# run_logged LOG COMMAND...: its output goes to LOG, and to the terminal when it fails.
run_logged() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "failed: $*   (all of it: $log)" >&2
        exit 1
    fi
}
