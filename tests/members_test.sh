#!/bin/bash
# Goal: members of real nodes are changed ten times under load, and no acknowledged write is lost, no
# pause is longer than an election; whoever is removed ends by itself; what would stop the cluster is
# refused with the reason.
#   tests/members_test.sh SKEIN
set -uo pipefail
skein=$1
dir=$(mktemp -d)
base=$((21000 + $$ % 8000))
faults=0 changes=0
declare -A pid

cleanup() {
    for node in "${!pid[@]}"; do kill -9 "${pid[$node]}" 2>/dev/null; done
    kill $writer $ticker 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
writer='' ticker=''
trap cleanup EXIT

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}

peer_of() { echo "127.0.0.1:$((base + 20 + $1))"; }

# connect NODE... : their clients' addresses
connect() {
    local list=
    for node in "$@"; do list+=",127.0.0.1:$((base + node))"; done
    echo "${list#,}"
}
all=$(connect 1 2 3 4 5 6)

# start NODE MEMBER... : with these in its list of peers
start() {
    local node=$1 list= join=
    shift
    [ -e "$dir/born" ] && join=--join
    for member in "$@"; do list+=",$member=$(peer_of "$member")"; done
    "$skein" serve --node "$node" --peers "${list#,}" --data "$dir/$node" --tick-ms 30 $join \
        --checkpoint-log-bytes 1M --keep-log-bytes 0 \
        --listen "127.0.0.1:$((base + node))" >>"$dir/$node.log" 2>&1 </dev/null &
    pid[$node]=$!
}

# change ARGUMENT... : carried out, or a fault
change() {
    changes=$((changes + 1))
    if ! "$skein" cluster "$@" --wait --connect "$all" --timeout-ms 120000 \
        >"$dir/out" 2>"$dir/err"; then
        fault "skein cluster $*: $(tail -n 1 "$dir/err")"
        tail -n 5 "$dir"/?.log
    fi
}

members() { "$skein" cluster members --json --connect "$all" 2>/dev/null; }
leader() {
    local found=0
    for _ in $(seq 200); do
        found=$(members | sed -nE 's/^\{"leader": ([0-9]+), "asked": \1,.*/\1/p')
        [ -n "$found" ] && break
        sleep 0.05
    done
    echo "$found"
}
voters() { members | sed -nE 's/.*"node": ([0-9]+), "role": "voter".*/\1/p' | tr '\n' ' '; }

# ends NODE : by itself, with status 0 and the reason
ends() {
    timeout 60 tail --pid="${pid[$1]}" -f /dev/null || fault "node $1 was removed and runs on"
    wait "${pid[$1]}" || fault "node $1 was removed and ended with status $?"
    unset "pid[$1]"
    grep -q "node $1 was removed from the cluster" "$dir/$1.log" || fault "node $1 says nothing"
}

# One key after another; "acked" has those that were acknowledged, "gap" the longest pause.
write_on() {
    local i=0 last now longest=0
    last=$(date +%s%3N)
    while [ ! -e "$dir/stop" ]; do
        i=$((i + 1))
        if "$skein" set "key$i" "value$i" --connect "$all" --timeout-ms 5000 >/dev/null 2>&1; then
            echo "$i" >>"$dir/acked"
            now=$(date +%s%3N)
            [ $((now - last)) -gt $longest ] && longest=$((now - last)) && echo $longest >"$dir/gap"
            last=$now
        fi
    done
}

# How long this machine keeps everybody waiting.
tick_on() {
    local last now longest=0
    last=$(date +%s%3N)
    while [ ! -e "$dir/stop" ]; do
        sleep 0.1
        now=$(date +%s%3N)
        [ $((now - last)) -gt $longest ] && longest=$((now - last)) && echo $longest >"$dir/stall"
        last=$now
    done
}

for node in 1 2 3; do start $node 1 2 3; done
[ "$(leader)" != 0 ] || fault "no leader"
# Where each node sends clients: to the leader's own port.
hint() {
    exec 3<>"/dev/tcp/127.0.0.1/$((base + $1))" || return
    printf 'SKEIN LEADER\r\n' >&3
    read -r _ <&3
    read -r line <&3
    exec 3>&-
    echo "${line%$'\r'}"
}
for node in 1 2 3; do
    for _ in $(seq 50); do
        [ "$(hint $node)" = "127.0.0.1:$((base + $(leader)))" ] && continue 2
        sleep 0.1
    done
    fault "node $node sends clients to $(hint $node), and node $(leader) leads"
done
touch "$dir/acked" "$dir/born"
write_on &
writer=$!
tick_on &
ticker=$!

start 4 1 2 3 4
change add "4=$(peer_of 4)"
"$skein" cluster add "5=$(peer_of 5)" --connect "$all" >/dev/null || fault "add without --wait"
start 5 1 2 3 4 5
change add "5=$(peer_of 5)"
start 6 1 2 3 4 5 6
change learner "6=$(peer_of 6)"
change promote 6
first=$(leader)
change remove "$first"
ends "$first"
second=$(leader)
change transfer "$([ "$second" = 4 ] && echo 5 || echo 4)"
change demote "$second"
change promote "$second"
# As a new disk it may come back, in the place of another.
rm -rf "${dir:?}/$first"
start "$first" 1 2 3 4 5 6
out=$([ "$second" = 6 ] && echo 5 || echo 6)
change replace "$out" "$first=$(peer_of "$first")"
ends "$out"
# The whole set at once; the one that goes is away, and learns of it when it comes back.
away=$([ "$first" = 3 ] && echo 2 || echo 3)
kill -9 "${pid[$away]}"
wait "${pid[$away]}" 2>/dev/null
keep=()
for node in $(voters); do [ "$node" != "$away" ] && keep+=("$node"); done
change set "${keep[@]}"
[ "$(voters)" = "${keep[*]} " ] || fault "voters: $(voters), wanted ${keep[*]}"
start "$away" 1 2 3
ends "$away"
# With two of the voters down, two of the others must not go.
"$skein" cluster remove 9 --connect "$all" >/dev/null 2>"$dir/err" && fault "removed node 9"
grep -q 'node 9 is no member' "$dir/err" || fault "no reason: $(cat "$dir/err")"

sleep 1
touch "$dir/stop"
wait "$writer" "$ticker" 2>/dev/null
acked=$(wc -l <"$dir/acked")
lead=$(leader)
lost=0
# value KEY: what the cluster says of it; "absent" only when it says so, and asked again while it says nothing.
value() {
    local got status
    for _ in $(seq 20); do
        got=$("$skein" get "$1" --connect "$all" 2>/dev/null)
        status=$?
        [ $status -eq 0 ] && { echo "$got"; return; }
        [ $status -eq 2 ] && { echo absent; return; }
        sleep 0.2
    done
    echo "no answer"
}
while read -r i; do
    got=$(value "key$i")
    [ "$got" = "value$i" ] || { lost=$((lost + 1)); echo "key$i: $got"; }
done <"$dir/acked"
[ "$acked" -ge 50 ] || fault "only $acked writes"
[ $lost -eq 0 ] || fault "$lost of $acked acknowledged writes are lost"
gap=$(cat "$dir/gap") stall=$(cat "$dir/stall")
# An election takes 300 to 600 ms at this tick, once more when votes are split.
[ "$gap" -le $((2500 + 2 * stall)) ] || fault "no write for $gap ms (the machine stalled for $stall)"

# Refused for what it would do, and done when it is forced.
kill -9 "${pid[${keep[0]}]}"
wait "${pid[${keep[0]}]}" 2>/dev/null
unset "pid[${keep[0]}]"
lead=$(leader)
rest=()
for node in "${keep[@]:1}"; do [ "$node" != "$lead" ] && rest+=("$node"); done
sleep 1
"$skein" cluster set "$lead" "${keep[0]}" --connect "$all" >/dev/null 2>"$dir/err" &&
    fault "left a voter that is down in a majority"
grep -q "silent: node ${keep[0]}" "$dir/err" || fault "no reason: $(cat "$dir/err")"
change stepdown
echo "$changes changes, $acked writes, longest pause $gap ms (stalls of $stall ms), $faults faults"
exit $((faults > 0))
