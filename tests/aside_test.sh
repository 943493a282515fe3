#!/bin/bash
# Goal: a node whose log ends in a block that cannot be read, or whose checkpoint is damaged, comes back by itself
# under load: as a new disk, with all data, and without a vote before that; the second time it is refused.
#   tests/aside_test.sh SKEIN
set -uo pipefail
skein=$1
dir=$(mktemp -d)
base=$((21000 + $$ % 8000))
faults=0
declare -A pid

cleanup() {
    for node in "${!pid[@]}"; do kill -9 "${pid[$node]}" 2>/dev/null; done
    kill $writer 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
writer=''
trap cleanup EXIT

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}
peers=$(for n in 1 2 3; do printf ',%s=127.0.0.1:%s' $n $((base + 20 + n)); done)
client_of() { echo "127.0.0.1:$((base + $1))"; }
all="$(client_of 1),$(client_of 2),$(client_of 3)"
start() {
    local node=$1
    shift
    "$skein" serve --node "$node" --peers "${peers#,}" --data "$dir/$node" --tick-ms 30 \
        --segment-bytes 1M --checkpoint-log-bytes 256K --keep-log-bytes 0 "$@" \
        --listen "$(client_of "$node")" >>"$dir/$node.log" 2>&1 </dev/null &
    pid[$node]=$!
}
kill_node() {
    kill -9 "${pid[$1]}"
    wait "${pid[$1]}" 2>/dev/null
    unset "pid[$1]"
}
id_of() { "$skein" cluster members --connect "$all" --json | sed -nE "s/.*\"node\": $1, \"role\": \"voter\".*\"raft_id\": \"([0-9a-f]+)\".*/\1/p"; }
write_on() {
    local i=0
    while [ ! -e "$dir/stop" ]; do
        i=$((i + 1))
        "$skein" set "key$i" "$(printf '%s%020000d' "$i-" 0)" --connect "$all" >/dev/null 2>&1 && echo $i >>"$dir/acked"
        sleep 0.05
    done
}
# another NODE OLD: it is a voter again, with another disk, and has caught up
another() {
    local now
    for _ in $(seq 100); do
        now=$(id_of "$1")
        [ -n "$now" ] && [ "$now" != "$2" ] &&
            "$skein" get key1 --connect "$(client_of "$1")" --read-level follower >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    return 1
}

for node in 1 2 3; do start $node; done
touch "$dir/acked"
write_on &
writer=$!
for _ in $(seq 300); do
    [ "$(wc -l <"$dir/acked")" -ge 150 ] && ls "$dir"/3/*.skc >/dev/null 2>&1 && break
    sleep 0.1
done

# The last block that was written: it may have held a vote.
old=$(id_of 3)
kill_node 3
"$skein" log inspect "$dir/3" --json | tr '}' '\n' >"$dir/blocks"
read -r number at < <(sed -nE 's/.*"number":([0-9]+),.*"blocks":([1-9][0-9]*),.*/\1 \2/p' "$dir/blocks" | tail -n 1)
last=$dir/3/wal/$(printf '%08d' "$number").wal
printf '\xff\xff\xff\xff' | dd of="$last" bs=1 seek=$((at * 4096 + 100)) conv=notrunc status=none
"$skein" log verify "$dir/3" >"$dir/out" 2>&1
[ $? -eq 3 ] || fault "the damage at block $at of $last is none: $(cat "$dir/out")"
start 3
another 3 "$old" || fault "does not come back from a damaged end: $(tail -n 3 "$dir/3.log")"
grep -q 'is set aside; this node joins anew' "$dir/3.log" || fault "says nothing"
[ -e "$dir/3/wal.damaged" ] || fault "the damaged log is gone"

# It was done before: now a person is to look at it; then, once more, by itself.
kill_node 3
old=$(id_of 3)
file=$(find "$dir/3" -name 'checkpoint-*.skc' | sort | tail -n 1)
printf '\xff\xff\xff\xff' | dd of="$file" bs=1 seek=5000 conv=notrunc status=none
start 3
timeout 30 tail --pid="${pid[3]}" -f /dev/null || fault "starts with a damaged checkpoint"
wait "${pid[3]}" && fault "ends in order"
unset "pid[3]"
tail -n 1 "$dir/3.log" | grep -q 'it was done before' || fault "no reason: $(tail -n 1 "$dir/3.log")"
tail -n 1 "$dir/3.log" | grep -q 'move the data directory' && fault "two remedies: $(tail -n 1 "$dir/3.log")"
rm -rf "$dir"/3/*.damaged
start 3 --refuse-damaged
timeout 30 tail --pid="${pid[3]}" -f /dev/null || fault "starts in spite of --refuse-damaged"
tail -n 1 "$dir/3.log" | grep -q 'move the data directory away' || fault "no remedy: $(tail -n 1 "$dir/3.log")"
wait "${pid[3]}"
unset "pid[3]"
start 3
another 3 "$old" || fault "does not come back from a damaged checkpoint: $(tail -n 3 "$dir/3.log")"

touch "$dir/stop"
wait "$writer"
# With the one that came back in every majority.
kill_node 1
lost=0
for i in $(cat "$dir/acked"); do
    for _ in $(seq 40); do
        got=$("$skein" get "key$i" --connect "$(client_of 2),$(client_of 3)" 2>/dev/null)
        status=$?
        [ $status -eq 0 ] || [ $status -eq 2 ] && break
        sleep 0.1
    done
    [ "${got%%-*}" = "$i" ] || lost=$((lost + 1))
done
acked=$(wc -l <"$dir/acked")
[ $lost -eq 0 ] || fault "$lost of $acked acknowledged writes are lost"
echo "$acked acknowledged writes kept, $faults faults"
exit $((faults > 0))
