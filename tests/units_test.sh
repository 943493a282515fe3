#!/bin/bash
# Goal: the systemd units that are installed are ones systemd takes, and what they run works: a
# backup is made and checked, an old one is removed, and a failed one removes nothing.
#   tests/units_test.sh SKEIN UNIT_DIR
# UNIT_DIR: where the build put the units. systemd itself is asked only where it is installed.
# Exit status: 0 when all holds, else 1.
set -uo pipefail
skein=$(realpath "$1")
units=$2
tools=$(cd "$(dirname "$0")/../tools" && pwd)
dir=$(mktemp -d)
pid=

cleanup() {
    [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

fail() {
    echo "FAULT: $*"
    exit 1
}

# The units as they would be installed, with this program.
mkdir "$dir/units" "$dir/state"
for unit in 'skein@.service' skein-snapshot.service; do
    [ -s "$units/$unit" ] || fail "$units/$unit is not there"
    sed -E "s|(=\|'\| )/[^ ]*/skein |\1$skein |" "$units/$unit" >"$dir/units/$unit"
    grep -q "$skein " "$dir/units/$unit" || fail "$unit does not run skein"
done
cp "$dir/units/skein@.service" "$dir/units/skein@1.service"
cp "$tools/skein-snapshot.timer" "$dir/units"
if command -v systemd-analyze >/dev/null; then
    # Manual pages that are not installed here are no fault of the unit's.
    found=$(cd "$dir/units" && systemd-analyze verify --man=no ./skein@1.service \
        ./skein-snapshot.service ./skein-snapshot.timer 2>&1)
    [ -z "$found" ] || fail "systemd-analyze verify: $found"
fi

for try in 1 2 3 4 5 6 7 8; do
    port=$((20000 + ($$ * 3 + try * 97) % 9000))
    "$skein" serve --node 1 --peers "1=127.0.0.1:$port" --listen 127.0.0.1:0 --tick-ms 10 \
        --data "$dir/data" >/dev/null 2>"$dir/log" </dev/null &
    pid=$!
    for _ in $(seq 200); do
        grep -q 'raft leader' "$dir/log" && break 2
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
done
address=$(sed -nE 's/.*listening.* addr=([0-9.:]+).*/\1/p' "$dir/log" | tail -n 1)
[ -n "$address" ] || fail "a node does not start: $(tail -n 3 "$dir/log")"
"$skein" set --connect "$address" k v >/dev/null || fail "no write"

# What the service runs, as systemd would: $$ is a dollar, %% a per cent.
run_service() {
    local line
    while IFS= read -r line; do
        line=${line#ExecStart=}
        line=${line//\$\$/\$}
        STATE_DIRECTORY=$dir/state KEEP_DAYS=14 SKEIN_CONNECT=$1 bash -c "${line//%%/%}" \
            >>"$dir/out" 2>&1 || return 1
    done < <(grep '^ExecStart=' "$dir/units/skein-snapshot.service")
}

touch -d '20 days ago' "$dir/state/old.snap"
run_service 127.0.0.1:1 && fail "a backup of nothing"
[ -e "$dir/state/old.snap" ] || fail "a failed backup removed an old one"
run_service "$address" || fail "no backup: $(cat "$dir/out")"
[ -e "$dir/state/old.snap" ] && fail "the old backup is still there"
[ "$(find "$dir/state" -type f | wc -l)" = 1 ] || fail "not one backup: $(ls "$dir/state")"
"$skein" snapshot verify "$(find "$dir/state" -name '*.snap')" >/dev/null || fail "not a backup"
echo "0 faults"
