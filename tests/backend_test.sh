#!/bin/bash
# Goal: a node serves on each backend, says in its log which it became and why, and goes to epoll by
# itself, with a note, where a seccomp filter refuses io_uring; asked for io_uring by name it fails
# there with one clear line.
#   tests/backend_test.sh SKEIN REFUSE_IO_URING
set -uo pipefail
skein=$1
refuse=$2
dir=$(mktemp -d)
faults=0
pid=

cleanup() {
    [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}

"$refuse" EPERM true
[ $? -eq 77 ] && exit 77

peer_port=$((20000 + $$ % 10000))

# serves PATTERN PREFIX... -- ARGUMENT... : a node, started behind a prefix, has the pattern in its
# log, keeps what it is given over a restart, and ends at SIGTERM.
serves() {
    local pattern=$1 prefix=() port rc
    shift
    while [ "$1" != -- ]; do
        prefix+=("$1")
        shift
    done
    shift
    local log=$dir/log data=$dir/data
    rm -rf "$data"
    for round in first second; do
        for _ in 1 2 3 4 5; do
            [ "$round" = first ] && peer_port=$((peer_port + 1))
            : >"$log"
            "${prefix[@]}" "$skein" serve --node 1 --peers "1=127.0.0.1:$peer_port" \
                --data "$data" --listen 127.0.0.1:0 --tick-ms 10 "$@" 2>"$log" </dev/null &
            pid=$!
            port=
            for _ in $(seq 200); do
                port=$(sed -nE 's/.*listening.* addr=127\.0\.0\.1:([0-9]+).*/\1/p' "$log" | tail -n 1)
                [ -n "$port" ] && break
                kill -0 "$pid" 2>/dev/null || break
                sleep 0.1
            done
            [ -n "$port" ] && break
            grep -q "in use" "$log" || break
        done
        [ -n "$port" ] || { fault "$pattern: does not start: $(tail -n 3 "$log")"; return; }
        grep -qE -e "$pattern" "$log" || fault "no \"$pattern\" in: $(grep backend "$log")"
        if [ "$round" = first ]; then
            "$skein" set --connect "127.0.0.1:$port" key "value of $pattern" >/dev/null ||
                fault "$pattern: set"
        fi
        [ "$("$skein" get --connect "127.0.0.1:$port" key)" = "value of $pattern" ] ||
            fault "$pattern: get ($round)"
        kill -TERM "$pid"
        wait "$pid"
        rc=$?
        [ "$rc" -eq 0 ] || fault "$pattern: SIGTERM: exit status $rc: $(tail -n 3 "$log")"
        pid=
    done
}

"$skein" version | grep -q "backend io_uring: available" &&
    serves 'info.*backend name=io_uring' -- --backend auto
serves 'info.*backend name=epoll why="asked for"' -- --backend epoll
serves 'info.*backend name=poll why="asked for"' -- --backend poll
serves 'warn.*backend name=epoll why="io_uring: .*(seccomp|disabled)' "$refuse" EPERM --
serves 'warn.*backend name=epoll why="io_uring: .*kernel has no io_uring' "$refuse" ENOSYS --

"$refuse" EPERM "$skein" serve --node 1 --peers "1=127.0.0.1:$peer_port" --data "$dir/data" \
    --backend io_uring 2>"$dir/err"
rc=$?
[ "$rc" -eq 1 ] || fault "io_uring by name, refused: exit status $rc"
grep -q "io_uring: the kernel refuses" "$dir/err" || fault "unclear: $(cat "$dir/err")"

"$skein" serve --backend kqueue 2>"$dir/err"
[ $? -eq 64 ] || fault "an unknown backend is no usage error"

[ "$faults" -eq 0 ] || exit 1
echo "backends: all serve"
