#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A SLURM cluster of two nodes on this machine, with daemons, keys and ports of its own. As root.
#
# usage: cluster.sh start DIR    then use it with SLURM_CONF=DIR/slurm.conf
#        cluster.sh stop DIR     ends its jobs and its daemons, and no others
set -eu

command=${1:?start or stop}
dir=$(realpath -m "${2:?a folder}")
export SLURM_CONF=$dir/slurm.conf
host=$(hostname -s)
nodes=(n1 n2)

# Both nodes are this host: TmpFS by node keeps the PMIx folders of the two apart. Without cgroups
# mounted slurmd still wants a plugin named. A requeued job waits for its old credential to expire.
write_config() {
    local port=$((20000 + $$ % 10000))
    cat > "$SLURM_CONF" <<END
ClusterName=outerloop-test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
TmpFS=$dir/tmp-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=5
MinJobAge=600
ReturnToService=2
PartitionName=test Nodes=ALL Default=YES State=UP MaxTime=INFINITE
END
    local i
    for i in "${!nodes[@]}"; do
        echo "NodeName=${nodes[i]} NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1 + i))" \
            "CPUs=4 State=UNKNOWN" >> "$SLURM_CONF"
    done
    echo "CgroupPlugin=cgroup/v1" > "$dir/cgroup.conf"
}

start() {
    local node
    umask 022
    mkdir -p "$dir/state"
    for node in "${nodes[@]}"; do
        mkdir -p "$dir/spool-$node" "$dir/tmp-$node"
    done
    write_config
    mungekey --create --keyfile="$dir/munge.key"
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" --seed-file="$dir/munged.seed"
    slurmctld -c
    for node in "${nodes[@]}"; do
        slurmd -N "$node"
    done
    for _ in $(seq 150); do
        [ "$(sinfo -h -o %T 2>/dev/null | sort -u)" = idle ] && return
        sleep 0.2
    done
    echo "the cluster did not come up:" >&2
    sinfo >&2 || true
    tail -n 20 "$dir"/*.log >&2
    return 1
}

# Signal the daemon of ours with that pid file; false when it is gone.
signal_daemon() {
    local pid
    pid=$(cat "$2" 2>/dev/null) && [ -n "$pid" ] && kill -s "$1" "$pid" 2>/dev/null
}

stop() {
    local pid_file
    timeout 10 scancel --full --signal=KILL --state=RUNNING --user=root 2>/dev/null || true
    timeout 10 scontrol shutdown 2>/dev/null || true
    for pid_file in "$dir"/slurmd-*.pid "$dir/slurmctld.pid" "$dir/munged.pid"; do
        for signal in TERM KILL; do
            signal_daemon "$signal" "$pid_file" || break
            for _ in $(seq 50); do
                signal_daemon 0 "$pid_file" || break
                sleep 0.1
            done
        done
    done
}

case $command in
start) start ;;
stop) stop ;;
*) echo "cluster.sh: start or stop, not $command" >&2 && exit 2 ;;
esac
