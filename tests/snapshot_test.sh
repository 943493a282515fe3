#!/bin/bash
# Goal: a backup of a serving cluster is whole, is checked, and begins a new cluster that has all of it; what is damaged or in the
# way is refused.
#   tests/snapshot_test.sh SKEIN [STORE]        memory or lmdb: of every node
set -uo pipefail
skein=$1
store=${2:-memory}
dir=$(mktemp -d)
pids=()
faults=0
cleanup() {
    [ ${#pids[@]} -gt 0 ] && kill -9 "${pids[@]}" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
command -v redis-cli >/dev/null || { echo "skipped: no redis-cli"; exit 77; }

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}

base=$((20000 + $$ % 4000 * 2))
# serve NODE DIR OFFSET: one of three nodes.
serve() {
    "$skein" serve --node "$1" --data "$2" --listen "127.0.0.1:$((base + $3 + $1))" --tick-ms 20 --store "$store" \
        --peers "1=127.0.0.1:$((base + $3 + 11)),2=127.0.0.1:$((base + $3 + 12)),3=127.0.0.1:$((base + $3 + 13))" \
        >>"$dir/log" 2>&1 &
    pids+=($!)
}
# until_is WANTED COMMAND...: the command's output, asked for again for 20 s.
until_is() {
    local wanted=$1 got
    shift
    for _ in $(seq 100); do
        got=$("$@" 2>/dev/null)
        [ "$got" = "$wanted" ] && return 0
        sleep 0.2
    done
    fault "$*: $got, not $wanted"
}

nodes=127.0.0.1:$((base + 1)),127.0.0.1:$((base + 2)),127.0.0.1:$((base + 3))
"$skein" snapshot save "$dir/none" --connect "$nodes" 2>"$dir/err" && fault "saved from nobody"
grep -q "leads" "$dir/err" || fault "no reason: $(cat "$dir/err")"
for n in 1 2 3; do serve $n "$dir/a$n" 0; done
until_is OK redis-cli -p $((base + 1)) set greeting hello
for n in $(seq 500); do echo "SET key:$n $n-$(printf '%0300d' "$n")"; done | redis-cli -p $((base + 2)) >/dev/null
"$skein" snapshot save "$dir/backup" --connect "$nodes" >"$dir/out" 2>&1 || fault "save: $(cat "$dir/out")"
[ -e "$dir/backup.part" ] && fault "a part is left"
redis-cli -p $((base + 1)) set greeting later >/dev/null
"$skein" snapshot verify "$dir/backup" --json | grep '"index"' >/dev/null || fault "verify"

cp "$dir/backup" "$dir/bad"
printf '\377' | dd of="$dir/bad" bs=1 seek=9000 conv=notrunc status=none
"$skein" snapshot verify "$dir/bad" 2>"$dir/err"
[ $? -eq 2 ] || fault "a damaged backup: exit status"
grep -q "damaged at byte.*use another one" "$dir/err" || fault "a damaged backup: $(cat "$dir/err")"
grep -q "directory" "$dir/err" && fault "a node's remedy for a damaged backup: $(cat "$dir/err")"
"$skein" snapshot restore "$dir/bad" --data "$dir/b0" 2>/dev/null && fault "restored a damaged backup"
[ -e "$dir/b0/identity" ] && fault "a damaged backup left an identity"
"$skein" snapshot restore "$dir/backup" 2>/dev/null
[ $? -eq 64 ] || fault "restore without a directory"
"$skein" snapshot restore "$dir/backup" --data "$dir/b1" >"$dir/out" 2>&1 || fault "restore: $(cat "$dir/out")"
"$skein" snapshot restore "$dir/backup" --data "$dir/b1" 2>"$dir/err" && fault "restored over a directory"
grep -q "not empty" "$dir/err" || fault "no reason: $(cat "$dir/err")"
for n in 1 2 3; do serve $n "$dir/b$n" 20; done
for n in 1 2 3; do
    until_is hello redis-cli -p $((base + 20 + n)) get greeting
    until_is 501 redis-cli -p $((base + 20 + n)) dbsize
done
until_is later redis-cli -p $((base + 3)) get greeting
# the new cluster is one of three: it goes on without the node that was restored
until_is 3 sh -c "redis-cli -p $((base + 22)) skein members | grep -c voter"
kill -9 "${pids[3]}"
until_is OK redis-cli -p $((base + 22)) set greeting again
until_is again redis-cli -p $((base + 23)) get greeting

echo "$faults faults"
[ "$faults" -eq 0 ]
