#!/bin/bash
# Goal: what Redis answers, Skein answers, byte for byte. A fixed list of commands goes through
# redis-cli to a redis-server and to one node, and the replies are compared: every command of the
# store, its options, its errors, values at the edges. Not compared: what depends on the moment or
# the server (INFO, CLIENT ID and LIST, COMMAND's categories, CONFIG's values), and the differences
# that docs/design/0006-kv-commands.md names.
#   tests/redis_compare.sh SKEIN
# Exit status: 0 when all replies are equal (or redis-server is not installed: skipped), else 1.
set -uo pipefail
skein=$1
here=$(cd "$(dirname "$0")" && pwd)
commands=$here/redis_compare.txt
for tool in redis-server redis-cli; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is not installed"
        exit 0
    fi
done
dir=$(mktemp -d)
pids=()

cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

fail() {
    echo "FAULT: $*"
    exit 1
}

# await LOG PATTERN : until the program started last has written it; 1 when it ended or 20 s passed.
await() {
    for _ in $(seq 200); do
        grep -qE -e "$2" "$1" 2>/dev/null && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# Redis takes no port 0, and a node's peer port must be known beforehand: both try ports below the
# range from which the kernel draws until one is free.
start_redis() {
    for try in 1 2 3 4 5 6 7 8; do
        redis_port=$((10000 + ($$ * 3 + try * 97) % 9000))
        redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --databases 1 \
            --dir "$dir" --logfile '' >"$dir/redis.log" 2>&1 </dev/null &
        pid=$!
        pids+=("$pid")
        await "$dir/redis.log" "Ready to accept" && return 0
    done
    fail "redis-server does not start: $(tail -n 3 "$dir/redis.log")"
}

start_skein() {
    local peer_port
    for try in 1 2 3 4 5 6 7 8; do
        peer_port=$((20000 + ($$ * 3 + try * 97) % 9000))
        "$skein" serve --node 1 --peers "1=127.0.0.1:$peer_port" --listen 127.0.0.1:0 --tick-ms 10 \
            --data "$dir/data" >/dev/null 2>"$dir/skein.log" </dev/null &
        pid=$!
        pids+=("$pid")
        if await "$dir/skein.log" 'listening.* addr='; then
            skein_port=$(sed -nE 's/.*listening.* addr=127\.0\.0\.1:([0-9]+).*/\1/p' \
                "$dir/skein.log" | tail -n 1)
            return 0
        fi
        grep -q "in use" "$dir/skein.log" || break
    done
    fail "a node does not start: $(tail -n 3 "$dir/skein.log")"
}

start_redis
start_skein
# The first write waits until the node leads.
redis-cli -p "$skein_port" flushall >/dev/null || fail "the node answers nothing"

# Blank lines and comments are left out; "sorted" before a command: the order of the reply's
# elements is not told. Marks between the commands make the reply of each be found again.
count=0
: >"$dir/script"
: >"$dir/sorted"
while IFS= read -r line; do
    count=$((count + 1))
    case $line in
    "sorted "*)
        echo "$count" >>"$dir/sorted"
        line=${line#sorted }
        ;;
    esac
    printf '%s\n' "$line" >>"$dir/list"
    printf 'echo "== %d"\n%s\n' "$count" "$line" >>"$dir/script"
done < <(grep -vE '^(#|$)' "$commands")

# QUIT ends redis-cli's own loop, so it goes alone.
for word in quit QUIT; do
    of_redis=$(redis-cli --no-raw -p "$redis_port" "$word" 2>&1)
    of_skein=$(redis-cli --no-raw -p "$skein_port" "$word" 2>&1)
    [ "$of_redis" = "$of_skein" ] || fail "$word: redis \"$of_redis\", skein \"$of_skein\""
done

for side in redis skein; do
    port=${side}_port
    timeout 60 redis-cli --no-raw -p "${!port}" <"$dir/script" >"$dir/$side.raw" 2>&1 ||
        fail "redis-cli with $side: exit status $?: $(tail -n 3 "$dir/$side.raw")"
    grep -c '^"== [0-9]*"$' "$dir/$side.raw" | grep -qx "$count" ||
        fail "$side did not answer every command: $(tail -n 3 "$dir/$side.raw")"
    # One line for each command: its number, then its reply with the lines joined by a bar.
    awk -v sorted="$dir/sorted" '
        BEGIN { while ((getline number < sorted) > 0) unordered[number] = 1 }
        function flush(    i, j, swap, all) {
            if (!number) return
            if (number in unordered) {
                for (i = 1; i <= n; i++) sub(/^ *[0-9]+\) /, "", line[i])
                for (i = 2; i <= n; i++)
                    for (j = i; j > 1 && line[j - 1] > line[j]; j--) {
                        swap = line[j]; line[j] = line[j - 1]; line[j - 1] = swap
                    }
            }
            all = number
            for (i = 1; i <= n; i++) all = all "|" line[i]
            print all
        }
        /^"== [0-9]+"$/ { flush(); number = $2 + 0; n = 0; next }
        /^\([0-9.]+s\)$/ { next } # how long it took, when it took long
        { line[++n] = $0 }
        END { flush() }' "$dir/$side.raw" >"$dir/$side"
done

if cmp -s "$dir/redis" "$dir/skein"; then
    echo "$count commands, equal replies"
    exit 0
fi
faults=0
while IFS= read -r of_redis <&3 && IFS= read -r of_skein <&4; do
    [ "$of_redis" = "$of_skein" ] && continue
    faults=$((faults + 1))
    echo "FAULT: $(sed -n "${of_redis%%|*}p" "$dir/list")"
    echo "    redis ${of_redis#*|}"
    echo "    skein ${of_skein#*|}"
done 3<"$dir/redis" 4<"$dir/skein"
echo "$count commands, $faults faults"
exit 1
