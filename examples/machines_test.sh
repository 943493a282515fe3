#!/bin/bash
# Goal: the examples of state machines do what they say, with real nodes on loopback.
#   examples/machines_test.sh BUILD_DIR
set -uo pipefail
build=$1
dir=$(mktemp -d)
pids=()
cleanup() {
    [ ${#pids[@]} -gt 0 ] && kill -9 "${pids[@]}" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

# free COUNT: the first of COUNT ports that nobody uses, below the ephemeral ones.
free() {
    local first i
    for _ in $(seq 100); do
        first=$((20000 + RANDOM % 10000))
        for ((i = first; i < first + $1; i++)); do
            grep -qs ":$(printf %04X "$i") " /proc/net/tcp /proc/net/tcp6 && continue 2
        done
        echo "$first"
        return
    done
}

faults=0
fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}

port=$(free 3)
timeout 60 "$build/08_bank" "$dir/bank" "$port" >"$dir/out" 2>&1 || fault "08_bank: $(cat "$dir/out")"
[ "$(grep -c ': 8000 in all' "$dir/out")" -eq 3 ] || fault "08_bank: $(cat "$dir/out")"
port=$(free 3)
timeout 60 "$build/09_lock" "$dir/lock" "$port" >"$dir/out" 2>&1 || fault "09_lock: $(cat "$dir/out")"

base=$(free 6)
peers=1=127.0.0.1:$base,2=127.0.0.1:$((base + 1)),3=127.0.0.1:$((base + 2))
start() {
    "$build/07_counter" "$1" "$peers" "$dir/counter-$1" $((base + 2 + $1)) 2>>"$dir/log" &
    pids[$1]=$!
}
# ask NODE LINE: the reply, asked again while nobody listens or leads.
ask() {
    local reply
    for _ in $(seq 100); do
        reply=$({ exec 3<>"/dev/tcp/127.0.0.1/$((base + 2 + $1))" && echo "$2" >&3 && timeout 10 head -n 1 <&3; } 2>/dev/null)
        case $reply in "" | error*) sleep 0.1 ;; *) break ;; esac
    done
    echo "$reply"
}
for n in 1 2 3; do start $n; done
[ "$(ask 1 get)" = 0 ] || fault "the counter does not begin at 0"
[ "$(ask 2 'add 5')" = 5 ] || fault "add 5 by node 2"
[ "$(ask 3 'add -2')" = 3 ] || fault "add -2 by node 3"
[ "$(ask 1 get)" = 3 ] || fault "node 1 does not see it"
kill -9 "${pids[@]}" && wait 2>/dev/null
for n in 1 2 3; do start $n; done
[ "$(ask 2 get)" = 3 ] || fault "the counter is not 3 after all nodes were killed"
"$build/07_counter" 1 "$peers" 2>"$dir/err" && fault "07_counter takes too few arguments"
grep -q usage "$dir/err" || fault "07_counter does not say how to use it"
"$build/07_counter" 9 "$peers" "$dir/none" 1 2>"$dir/err" && fault "a node that is no peer"
grep -q "not among the peers" "$dir/err" || fault "no reason: $(cat "$dir/err")"

echo "$faults faults"
[ "$faults" -eq 0 ]
