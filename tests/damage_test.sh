#!/bin/bash
# Goal: a real node whose log or checkpoint has one flipped bit either says so, naming file and place, and
# does not start, or has all of its data: never data with a hole.
#   tests/damage_test.sh SKEIN [COUNT]      default: 20 bits
set -uo pipefail
skein=$1 count=${2:-20}
dir=$(mktemp -d)
pid=
cleanup() {
    [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
command -v redis-cli >/dev/null || { echo "skipped: no redis-cli"; exit 77; }

peer_port=$((20000 + $$ % 10000))
keys=$(seq -f 'key:%g' 1 400)

# start DATA: 0 when it listens (sets pid, port), 1 when it ended by itself (its last line in $dir/err).
start() {
    peer_port=$((peer_port + 1))
    : >"$dir/log"
    "$skein" serve --node 1 --peers "1=127.0.0.1:$peer_port" --listen 127.0.0.1:0 --tick-ms 10 \
        --segment-bytes 1M --checkpoint-log-bytes 1M --keep-log-bytes 16K --data "$1" \
        >/dev/null 2>"$dir/log" </dev/null &
    pid=$!
    for _ in $(seq 200); do
        port=$(sed -nE 's/.*listening.* addr=127\.0\.0\.1:([0-9]+).*/\1/p' "$dir/log" | tail -n 1)
        [ -n "$port" ] && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    wait "$pid"
    status=$?
    pid=
    return 1
}

# What the node holds, as text.
content() {
    # shellcheck disable=SC2086
    redis-cli -p "$port" mget $keys
}

stop() {
    kill -TERM "$pid" && wait "$pid"
    pid=
}

start "$dir/good" || { echo "FAULT: no node: $(tail -n 1 "$dir/log")"; exit 1; }
for key in $keys; do
    printf 'SET %s %s-%02000d\r\n' "$key" "$key" "$RANDOM"
done >"$dir/commands"
for _ in 1 2 3; do redis-cli -p "$port" --pipe <"$dir/commands" >/dev/null; done
for n in $(seq 60); do redis-cli -p "$port" set "key:$n" "again-$n" >/dev/null; done
content >"$dir/wanted"
stop
grep -c again "$dir/wanted" >/dev/null || { echo "FAULT: nothing was written"; exit 1; }

faults=0 refused=0 whole=0 number=$$
mapfile -t files < <(find "$dir/good" \( -name '*.wal' -o -name '*.skc' \) -size +0 | sort)
for n in $(seq "$count"); do
    rm -rf "$dir/bad"
    cp -r "$dir/good" "$dir/bad"
    file=$dir/bad${files[n % ${#files[@]}]#"$dir/good"}
    bytes=$(stat -c %s "$file")
    number=$(((number * 1103515245 + 12345) & 0x7fffffff))
    # Most of a segment is empty: three of four bits in its first sixteenth.
    [ $((n % 4)) -eq 0 ] || bytes=$((bytes / 16 + 1))
    at=$((number % bytes)) bit=$((number / 7 % 8))
    byte=$(od -An -tu1 -j "$at" -N 1 "$file")
    # shellcheck disable=SC2059
    printf "\\x$(printf %02x $((byte ^ (1 << bit))))" |
        dd of="$file" bs=1 seek="$at" conv=notrunc status=none
    what="bit $bit of byte $at of ${file##*/}"
    if start "$dir/bad"; then
        content >"$dir/got"
        stop
        if cmp -s "$dir/wanted" "$dir/got"; then
            whole=$((whole + 1))
        else
            echo "FAULT: $what: served with other data"
            faults=$((faults + 1))
        fi
    elif [ "$status" -ne 1 ] || ! tail -n 1 "$dir/log" | grep -qE "${file##*/}.*[0-9]"; then
        echo "FAULT: $what: status $status, and no place named: $(tail -n 1 "$dir/log")"
        faults=$((faults + 1))
    else
        refused=$((refused + 1))
    fi
done
echo "$count bits: $refused refused with the place named, $whole started with all data, $faults faults"
[ "$faults" -eq 0 ]
