#!/bin/bash
# Goal: a cluster that lost two of three nodes for ever goes on from the third with all that it held, also when the
# recovery is killed in its middle; two are added again; the lost ones, started after all, end with a clear line.
#   tests/recover_test.sh SKEIN [STORE]
set -uo pipefail
skein=$1 store=${2:-memory}
dir=$(mktemp -d)
base=$((21000 + $$ % 8000))
faults=0
declare -A pid

cleanup() {
    for node in "${!pid[@]}"; do kill -9 "${pid[$node]}" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}
peer_of() { echo "127.0.0.1:$((base + 20 + $1))"; }
client_of() { echo "127.0.0.1:$((base + $1))"; }

# start NODE DIR [OPTION...]: as every start of it, with the list of all five
start() {
    local node=$1 data=$2 list= member
    shift 2
    for member in 1 2 3; do list+=",$member=$(peer_of "$member")"; done
    [ "$node" -gt 3 ] && list+=",$node=$(peer_of "$node")"
    "$skein" serve --node "$node" --peers "${list#,}" --data "$data" --tick-ms 30 --store "$store" "$@" \
        --listen "$(client_of "$node")" >>"$dir/$node.log" 2>&1 </dev/null &
    pid[$node]=$!
}
leads() { "$skein" status --connect "$(client_of "$1")" --json 2>/dev/null | grep -q '"role": "leader"'; }
# within SECONDS COMMAND...
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -ge $until ] && return 1
        sleep 0.1
    done
}
some_leads() { leads 1 || leads 2 || leads 3; }
number() { sed -nE "s/.*\"$1\": ([0-9]+).*/\1/p" "$2" | head -n 1; }

for node in 1 2 3; do start $node "$dir/$node"; done
within 30 some_leads || fault "no leader"
all="$(client_of 1),$(client_of 2),$(client_of 3)"
for i in $(seq 60); do
    "$skein" set "key$i" "value$i" --connect "$all" >/dev/null || fault "key$i was not written"
done
"$skein" cluster recover --data "$dir/3" >/dev/null 2>"$dir/err" && fault "looked at a running node"
grep -q 'another process uses' "$dir/err" || fault "no reason: $(cat "$dir/err")"
# What the survivor has is known to be all: it answers out of what it has applied.
within 20 test "$("$skein" get key60 --connect "$(client_of 3)" --read-level follower)" = value60 ||
    fault "node 3 has not got it all"
for node in 1 2 3; do
    kill -9 "${pid[$node]}"
    wait "${pid[$node]}" 2>/dev/null
done

"$skein" cluster recover --data "$dir/3" --json >"$dir/held" || fault "cannot look"
grep -q '"recovered": false' "$dir/held" || fault "recovered without being told to"
last=$(number last_index "$dir/held")
[ "${last:-0}" -ge 60 ] || fault "holds up to ${last:-nothing}"
"$skein" cluster recover --data "$dir/3" >"$dir/said" || fault "cannot look"
grep -q 'MAY BE LOST' "$dir/said" || fault "does not say what may be lost"
"$skein" cluster recover --accept-loss >/dev/null 2>&1 && fault "recovered nothing"
# A second one, kept for later: killed in its middle, at whatever place, the recovery is done by the next one.
for after in 0.002 0.01 0.03; do
    cp -a "$dir/3" "$dir/cut"
    timeout -s KILL $after "$skein" cluster recover --data "$dir/cut" --accept-loss >/dev/null 2>&1
    "$skein" cluster recover --data "$dir/cut" --accept-loss >"$dir/said" || fault "cannot finish after $after s"
    [ -e "$dir/cut/recovery" ] && fault "recovery/ stays"
    rm -rf "$dir/cut"
done
"$skein" cluster recover --data "$dir/3" --accept-loss >"$dir/said" || fault "cannot recover"
grep -q 'only voter of cluster' "$dir/said" || fault "says nothing: $(cat "$dir/said")"

start 3 "$dir/3"
within 20 leads 3 || fault "the recovered node does not lead"
check() {
    local i lost=0
    for i in $(seq 60); do
        [ "$("$skein" get "key$i" --connect "$1")" = "value$i" ] || lost=$((lost + 1))
    done
    [ $lost -eq 0 ] || fault "$lost of 60 acknowledged writes are lost at $1"
}
check "$(client_of 3)"
"$skein" set after value --connect "$(client_of 3)" >/dev/null || fault "the recovered node takes no write"
for node in 4 5; do
    start $node "$dir/$node" --join
    "$skein" cluster add "$node=$(peer_of $node)" --wait --connect "$(client_of 3)" >/dev/null 2>"$dir/err" ||
        fault "cannot add node $node: $(cat "$dir/err")"
done

# The lost ones come back, both at once: they would be a majority of what was.
for node in 1 2; do start $node "$dir/$node"; done
for node in 1 2; do
    timeout 60 tail --pid="${pid[$node]}" -f /dev/null || fault "node $node, left behind, runs on"
    grep -q "node $node was left behind: its cluster had lost its quorum and was recovered on node 3" \
        "$dir/$node.log" || fault "node $node says nothing: $(tail -n 3 "$dir/$node.log")"
    unset "pid[$node]"
done
check "$(client_of 4)"
"$skein" cluster members --connect "$(client_of 3)" --json >"$dir/members"
for node in 3 4 5; do
    grep -q "\"node\": $node, \"role\": \"voter\"" "$dir/members" || fault "node $node is no voter"
done
grep -Eq '"node": [12],' "$dir/members" && fault "a lost node is a member"
# And the new cluster stands on three.
kill -9 "${pid[3]}"
wait "${pid[3]}" 2>/dev/null
unset "pid[3]"
both="$(client_of 4),$(client_of 5)"
within 30 "$skein" set after2 value --connect "$both" >/dev/null 2>&1 || fault "two of three do not serve"
check "$both"
echo "60 acknowledged writes kept, last index $last, $faults faults"
exit $((faults > 0))
