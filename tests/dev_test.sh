#!/bin/bash
# Goal: `skein dev` brings up a cluster and says how to talk to it; what one node took another gives;
# a node that is killed comes back; Ctrl-C ends all of it with exit status 0; no node survives a
# kill -9 of dev itself.
#   tests/dev_test.sh SKEIN
set -uo pipefail
skein=$1
dir=$(mktemp -d)
dev=
faults=0
cleanup() {
    [ -n "$dev" ] && kill -9 "$dev" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}

# until_line SECONDS PATTERN: wait until dev has printed it.
until_line() {
    local deadline=$((SECONDS + $1))
    until grep -qE -e "$2" "$dir/out"; do
        [ "$SECONDS" -lt "$deadline" ] && kill -0 "$dev" 2>/dev/null || return 1
        sleep 0.1
    done
}

start() {
    # A collision with somebody else's ports is a clear error: take others.
    for try in 1 2 3 4 5; do
        base=$((21000 + ($$ * 7 + try * 131) % 8000))
        : >"$dir/out" # before the child does it: the last run's lines must not be taken for its own
        "$skein" dev --data "$dir/data" --base-port "$base" >"$dir/out" 2>"$dir/err" </dev/null &
        dev=$!
        until_line 30 "^Ready" && return 0
        grep -q "choose other ports" "$dir/err" || break
    done
    fault "no cluster: $(cat "$dir/out" "$dir/err" | tail -n 5) $(tail -n 2 "$dir"/data/*.log)"
    return 1
}

node_pid() { sed -nE "s/^node $1: started, pid ([0-9]+),.*/\1/p" "$dir/out" | tail -n 1; }

start || exit 1
connect=127.0.0.1:$base,127.0.0.1:$((base + 1)),127.0.0.1:$((base + 2))
"$skein" set --connect "127.0.0.1:$base" k v >/dev/null || fault "set on the first node"
[ "$("$skein" get --connect "127.0.0.1:$((base + 1))" k)" = v ] || fault "get on the second node"

"$skein" metrics --connect "127.0.0.1:$((base + 200))" | grep >/dev/null "^skein_replica_applied_index " ||
    fault "no metrics of the first node"

# the leader dies and comes back; meanwhile another one serves
leader=$(sed -nE 's/^node ([0-9]+): leads.*/\1/p' "$dir/out" | tail -n 1)
kill -9 "$(node_pid "$leader")"
others=$(for i in 1 2 3; do [ "$i" -ne "$leader" ] && printf '127.0.0.1:%d,' $((base + i - 1)); done)
[ "$("$skein" get --connect "${others%,}" k)" = v ] || fault "get after the leader's death"
"$skein" set --connect "${others%,}" k2 v2 >/dev/null || fault "set after the leader's death"
until_line 10 "^node $leader: killed by signal 9" || fault "dev does not see the death"
[ "$("$skein" get --connect "127.0.0.1:$((base + leader - 1)),${others%,}" k2)" = v2 ] ||
    fault "get after the restart"

kill -INT "$dev"
wait "$dev"
rc=$?
[ "$rc" -eq 0 ] || fault "Ctrl-C: exit status $rc"
for i in 1 2 3; do kill -0 "$(node_pid "$i")" 2>/dev/null && fault "node $i outlived Ctrl-C"; done

# again, on the same data; then dev itself is killed
start || exit 1
connect=127.0.0.1:$base,127.0.0.1:$((base + 1)),127.0.0.1:$((base + 2))
[ "$("$skein" get --connect "$connect" k)" = v ] || fault "data lost in a restart of all"
pids=$(for i in 1 2 3; do node_pid "$i"; done)
kill -9 "$dev"
wait "$dev" 2>/dev/null
for pid in $pids; do
    for _ in $(seq 50); do
        # gone, or dead and not yet taken note of
        [ -e "/proc/$pid" ] || continue 2
        grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null && continue 2
        sleep 0.1
    done
    fault "pid $pid outlived dev"
done

echo "$faults faults"
[ "$faults" -eq 0 ]
