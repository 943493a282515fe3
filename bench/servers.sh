#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starting and stopping what bench/run measures. Sourced; wants: work, build, systems, die.
# After start_X: pids[X] (all server processes), ports[X] (where clients connect).
# shellcheck disable=SC2154

declare -A pids=() ports=()
declare -A port_used=()
free_ports=()

# Puts @1 ports that nobody uses into free_ports. Below the ephemeral range, so that no
# outgoing connection takes one before its server listens.
find_ports() {
    local wanted=$1 port
    free_ports=()
    while [ ${#free_ports[@]} -lt "$wanted" ]; do
        port=$((20000 + RANDOM % 10000))
        [ -z "${port_used[$port]:-}" ] || continue
        port_used[$port]=1
        grep -qs ":$(printf %04X "$port") " /proc/net/tcp /proc/net/tcp6 && continue
        free_ports+=("$port")
    done
}

# Runs @2.. in the background as one of system @1's processes, its output in a file.
launch() {
    local system=$1
    shift
    "$@" >>"$work/$system.log" 2>&1 </dev/null &
    pids[$system]="${pids[$system]:-} $!"
}

# Waits until the words @2.. succeed, at most 30 s; a system whose process ended is an error.
wait_until() {
    local system=$1 pid tries
    shift
    for ((tries = 0; tries < 300; tries++)); do
        "$@" && return 0
        for pid in ${pids[$system]}; do
            kill -0 "$pid" 2>/dev/null && continue
            tail -5 "$work/$system.log" >&2
            die "a process of $system ended"
        done
        sleep 0.1
    done
    tail -5 "$work/$system.log" >&2
    die "$system is not ready after 30 s"
}

start_skein() {
    local i peers=
    find_ports 6
    ports[skein]="${free_ports[*]:0:3}"
    for i in 0 1 2; do
        peers+="${peers:+,}$((i + 1))=127.0.0.1:${free_ports[i + 3]}"
    done
    for i in 0 1 2; do
        launch skein "$build/skein" serve --node $((i + 1)) --peers "$peers" \
            --data "$work/skein-$((i + 1))" --listen "127.0.0.1:${free_ports[i]}"
    done
    wait_until skein has_leader skein
}

start_etcd() {
    local i cluster= client peer
    find_ports 6
    ports[etcd]="${free_ports[*]:0:3}"
    for i in 0 1 2; do
        cluster+="${cluster:+,}n$i=http://127.0.0.1:${free_ports[i + 3]}"
    done
    for i in 0 1 2; do
        client=http://127.0.0.1:${free_ports[i]}
        peer=http://127.0.0.1:${free_ports[i + 3]}
        launch etcd etcd --name "n$i" --data-dir "$work/etcd-$i" \
            --listen-client-urls "$client" --advertise-client-urls "$client" \
            --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
            --initial-cluster "$cluster" --initial-cluster-state new
    done
    wait_until etcd has_leader etcd
}

start_redis() {
    find_ports 1
    ports[redis]=${free_ports[0]}
    mkdir "$work/redis"
    launch redis redis-server --bind 127.0.0.1 --port "${free_ports[0]}" --dir "$work/redis" \
        --save '' --appendonly yes --appendfsync always
    wait_until redis has_leader redis
}

# Prints the port of system @1's leader; nothing when there is none.
leader_port() {
    local port
    case $1 in
    skein)
        for port in ${ports[skein]}; do
            if timeout 5 redis-cli -p "$port" INFO skein 2>/dev/null | tr -d '\r' |
                grep -qx 'role:leader'; then
                echo "$port"
                return 0
            fi
        done
        ;;
    etcd)
        # "127.0.0.1:2379, id, version, size, is leader, is learner, ..."
        ETCDCTL_API=3 etcdctl --endpoints "$(etcd_endpoints)" endpoint status 2>/dev/null |
            awk -F ', ' '$5 == "true" { sub(/.*:/, "", $1); print $1; exit }'
        ;;
    redis)
        redis-cli -p "${ports[redis]}" PING 2>/dev/null | grep -qx PONG && echo "${ports[redis]}"
        ;;
    esac
    return 0
}

has_leader() {
    [ -n "$(leader_port "$1")" ]
}

etcd_endpoints() {
    local list=${ports[etcd]}
    echo "127.0.0.1:${list// /,127.0.0.1:}"
}

# Prints the microseconds of CPU that system @1's processes, and children they waited for, have
# used: fields utime to cstime of /proc/PID/stat.
cpu_us() {
    local pid
    for pid in ${pids[$1]}; do
        cat "/proc/$pid/stat" 2>/dev/null || die "a process of $1 ended"
    done | awk -v hertz="$(getconf CLK_TCK)" '
        { sub(/.*\) /, ""); ticks += $12 + $13 + $14 + $15 }
        END { printf "%.0f\n", ticks * 1000000 / hertz }'
}

stop_all() {
    local status=$? pid
    trap - EXIT
    trap '' INT TERM HUP
    # At once: the data is thrown away with the folder.
    for pid in ${pids[*]}; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
