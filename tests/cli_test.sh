#!/bin/bash
# Goal: whatever is wrong with a command line, a port, a directory or a disk, the program answers
# with one clear line that names the thing and the remedy, and an exit status that is not 0; and one
# node, alone, serves, drains at SIGTERM and keeps its data.
#   tests/cli_test.sh SKEIN
set -uo pipefail
skein=$1
dir=$(mktemp -d)
faults=0 checks=0
mounts=()
pids=()

cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done
    for mount in "${mounts[@]}"; do umount -l "$mount" 2>/dev/null; done
    rm -rf "$dir"
}
trap cleanup EXIT

# matches PATTERN: as grep -q, but reads all there is: whoever writes is not cut off.
matches() {
    grep "$@" >/dev/null
}

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}

# refused STATUS PATTERN ARGUMENT... : the exit status, the pattern in the last line of standard
# error, nothing on standard output, and no more than one line beside the log's.
refused() {
    local status=$1 pattern=$2 rc
    shift 2
    checks=$((checks + 1))
    timeout 20 "$skein" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    rc=$?
    [ "$rc" -eq "$status" ] || fault "skein $*: exit status $rc, not $status: $(tail -n 1 "$dir/err")"
    tail -n 1 "$dir/err" | matches -E -e "$pattern" ||
        fault "skein $*: no \"$pattern\" in: $(tail -n 1 "$dir/err")"
    [ "$(grep -cvE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T' "$dir/err")" -eq 1 ] ||
        fault "skein $*: not one line: $(cat "$dir/err")"
    [ -s "$dir/out" ] && fault "skein $*: wrote to standard output"
}

# port_of LOG: where the node listens for clients; the kernel chose it.
port_of() { sed -nE 's/.*listening.* addr=127\.0\.0\.1:([0-9]+).*/\1/p' "$1" | tail -n 1; }

# Peers need a port that all know beforehand: one below the range from which the kernel draws; a
# collision is a clear error, and the next is tried.
peer_port=$((20000 + $$ % 10000))

# start NAME ARGUMENT... : one node, alone; sets pid and port.
start() {
    local log=$dir/$1.log
    shift
    for _ in 1 2 3 4 5; do
        peer_port=$((peer_port + 1))
        : >"$log" # before the child does it: the last run's lines must not be taken for its own
        "$skein" serve --node 1 --peers "1=127.0.0.1:$peer_port" --listen 127.0.0.1:0 \
            --tick-ms 10 "$@" >"$dir/stdout" 2>"$log" </dev/null &
        pid=$!
        pids+=("$pid")
        for _ in $(seq 200); do
            port=$(port_of "$log")
            [ -n "$port" ] && return 0
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        grep -q "in use" "$log" || break
    done
    fault "a node does not start: $(tail -n 3 "$log")"
    return 1
}

stop() {
    local rc
    kill -TERM "$pid"
    wait "$pid"
    rc=$?
    [ "$rc" -eq 0 ] || fault "SIGTERM: exit status $rc"
}

peers="1=127.0.0.1:$peer_port"
least=(--node 1 --peers "$peers" --listen 127.0.0.1:0)

# --- command lines
refused 64 "no such command" nonsense
for command in serve dev get set del status log version; do
    refused 64 "\-\-no-such-flag: no such flag" "$command" --no-such-flag
    checks=$((checks + 1))
    "$skein" "$command" --help 2>&1 | matches "usage: skein $command" ||
        fault "skein $command --help"
done
"$skein" --help | matches "usage: skein" || fault "skein --help"
"$skein" version | matches "^skein [0-9]" || fault "skein version"
refused 64 "\-\-node N: is required" serve
refused 64 "\-\-node: \"0\" is not a whole number from 1 to 65535" serve --node 0
refused 64 "does not stand in --peers" serve --node 2 --peers "$peers" --data "$dir/x"
refused 64 "the host is an IPv4 address, \[an IPv6 address\] or localhost" serve --node 1 \
    --peers 1=node-1:7101 --data "$dir/x"
refused 64 "the port is 1 to 65535" serve --node 1 --peers 1=127.0.0.1:0 --data "$dir/x"
refused 64 "\-\-tick-ms: needs a value" serve "${least[@]}" --data "$dir/x" --tick-ms
refused 64 "\-\-data: \"\" is not a text" serve "${least[@]}" --data ""
refused 64 "\-\-listen: .* is not an address" serve --node 1 --peers "$peers" --data "$dir/x" --listen here
refused 64 "not loopback.*--allow-plaintext" serve --node 1 --peers "$peers" --data "$dir/x" \
    --listen 0.0.0.0:0
SKEIN_TICK_MS=soon refused 64 "SKEIN_TICK_MS: \"soon\" is not" serve "${least[@]}" --data "$dir/x"
refused 64 "too few arguments" set k
refused 64 "an argument too many" get a b
refused 64 "\-\-nodes: \"16\" is not" dev --nodes 16
refused 64 "read-level.*stale:MS" get --read-level stale k
refused 64 "read-level" get --read-level fresh k
refused 1 "no node answers.*skein dev" get --connect 127.0.0.1:1 k
checks=$((checks + 1))
"$skein" version >/dev/full 2>/dev/null && fault "a full standard output is no failure"

# --- directories
refused 1 "$dir/no/where" serve "${least[@]}" --data "$dir/no/where"
echo text >"$dir/file"
refused 1 "$dir/file" serve "${least[@]}" --data "$dir/file"
if [ "$(id -u)" -eq 0 ] && mkdir "$dir/ro" && mount -t tmpfs -o ro tmpfs "$dir/ro" 2>/dev/null; then
    mounts+=("$dir/ro")
    refused 1 "$dir/ro.*[Rr]ead-only" serve "${least[@]}" --data "$dir/ro/data"
else
    echo "skipped: a read-only directory (needs to mount)"
fi
if [ "$(id -u)" -eq 0 ] && mkdir "$dir/full" &&
    mount -t tmpfs -o size=256k tmpfs "$dir/full" 2>/dev/null; then
    mounts+=("$dir/full")
    refused 1 "$dir/full.*disk is full.*free some space" serve "${least[@]}" --data "$dir/full/data"
else
    echo "skipped: a full disk (needs to mount)"
fi

# --- one node, end to end
start one --data "$dir/data" --metrics 127.0.0.1:0 || exit 1
at=127.0.0.1:$port
checks=$((checks + 1))
[ "$("$skein" set --connect "$at" k "v 1")" = OK ] || fault "set"
[ "$("$skein" get --connect "$at" k)" = "v 1" ] || fault "get"
"$skein" get --connect "$at" absent >"$dir/out" 2>"$dir/err"
[ $? -eq 2 ] || fault "get of an absent key: exit status"
grep -q "(nil)" "$dir/err" || fault "get of an absent key: $(cat "$dir/err")"
[ "$("$skein" del --connect "$at" absent k)" = 1 ] || fault "del"
"$skein" set --connect "$at" kept yes >/dev/null || fault "set kept"
for level in follower stale:500; do
    [ "$("$skein" get --connect "$at" --read-level "$level" kept)" = yes ] || fault "get --read-level $level"
done
refused 1 "REFUSED" get --connect "$at" --read-level lease kept
"$skein" status --connect "$at" | matches "leader" || fault "status shows no leader"
"$skein" status --connect "$at" --json | matches '"role": "leader"' || fault "status --json"
# its metrics
metrics=$(sed -nE 's/.*serve metrics addr=([0-9.:]+).*/\1/p' "$dir/one.log" | tail -n 1)
checks=$((checks + 1))
for format in prometheus openmetrics json csv influx; do
    "$skein" metrics --connect "$metrics" --format "$format" >"$dir/out" 2>"$dir/err" ||
        fault "metrics --format $format: $(cat "$dir/err")"
    grep -q skein_wal_syncs "$dir/out" || fault "metrics --format $format: $(head -n 3 "$dir/out")"
done
"$skein" metrics --connect "$metrics" | matches -E '^skein_kv_commands_total\{command="set"\} 2$' ||
    fault "metrics: not two commands"
# SKEIN_CONNECT is where clients go; the scrape has a variable of its own, the node's.
SKEIN_CONNECT=127.0.0.1:1,127.0.0.1:2 SKEIN_METRICS=$metrics "$skein" metrics >"$dir/out" 2>"$dir/err" ||
    fault "metrics by the environment: $(cat "$dir/err")"
refused 1 "skein serve --metrics" metrics --connect "127.0.0.1:$peer_port"
refused 64 "one of prometheus" metrics --format xml
# a disk that is measured, and kept to it
checks=$((checks + 1))
"$skein" iotune --dir "$dir" --out "$dir/disk" --file-bytes 16M --seconds 1 >"$dir/out" ||
    fault "iotune: exit status $?"
grep -qE '^write_iops = [1-9][0-9]* ' "$dir/disk" || fault "iotune: $(cat "$dir/disk")"
[ -e "$dir/skein-iotune.tmp" ] && fault "iotune leaves its file behind"
refused 1 "no/such.*No such file" iotune --dir "$dir/no/such"
echo "reads = 1" >"$dir/no-disk"
refused 1 "io-properties.*line 1" serve "${least[@]}" --data "$dir/never" --io-properties "$dir/no-disk"
refused 1 "io-properties.*No such file" serve "${least[@]}" --data "$dir/never" --io-properties "$dir/no"
# levels of modules, while it runs
checks=$((checks + 1))
refused 64 "module=level" serve "${least[@]}" --data "$dir/never" --log-level loud
if command -v redis-cli >/dev/null; then
    redis-cli -p "$port" config set loglevel info,kv=debug >/dev/null
    [ "$(redis-cli -p "$port" config get loglevel | tail -n 1)" = "info,kv=debug" ] || fault "loglevel"
    grep -q 'kv "log levels changed"' "$dir/one.log" || fault "the change is not logged"
fi
if command -v redis-cli >/dev/null; then
    [ "$(redis-cli -p "$port" incr n)" = 1 ] || fault "redis-cli incr"
    [ "$(redis-cli -p "$port" get kept)" = yes ] || fault "redis-cli get"
else
    echo "skipped: redis-cli is not installed"
fi
tr '\0' ' ' <"/proc/$pid/cmdline" | matches -e "--data $dir/data" || fault "ps shows no directory"
# the port, and the directory, of a node that runs
refused 1 "$port" serve --node 1 --peers "1=127.0.0.1:$((peer_port + 7))" --listen "$at" --data "$dir/other"
refused 1 "$peer_port" serve --node 1 --peers "1=127.0.0.1:$peer_port" --listen 127.0.0.1:0 \
    --data "$dir/third"
refused 1 "$dir/data.*(use|process)" serve --node 1 --peers "1=127.0.0.1:$((peer_port + 8))" \
    --listen 127.0.0.1:0 --data "$dir/data"
stop
start one --data "$dir/data" --io-properties "$dir/disk" || exit 1
grep -q "disk limited" "$dir/one.log" || fault "the disk is not limited"
[ "$("$skein" get --connect "127.0.0.1:$port" kept)" = yes ] || fault "data lost in a restart"
stop
# its log
checks=$((checks + 1))
"$skein" log verify "$dir/data" >"$dir/out" || fault "log verify: $(cat "$dir/out")"
grep -q "^whole" "$dir/out" || fault "log verify: $(cat "$dir/out")"
"$skein" log inspect "$dir/data/wal" --entries | matches -E "^ +1 +term 1 +(command|config)" || fault "log inspect"
cp -r "$dir/data" "$dir/bad-log"
printf '\377' | dd of="$(ls "$dir"/bad-log/wal/*.wal | head -n 1)" bs=1 seek=4200 conv=notrunc status=none
"$skein" log verify "$dir/bad-log" >"$dir/out"
[ $? -eq 2 ] || fault "log verify of a damaged log: exit status"
grep -q "^damaged; its peers.*byte 4096" "$dir/out" || fault "log verify: $(cat "$dir/out")"
grep -q "start the node while its peers run" "$dir/out" || fault "log verify names no remedy: $(cat "$dir/out")"
grep -q "move the data directory" "$dir/out" && fault "log verify names another remedy: $(cat "$dir/out")"
"$skein" log verify "$dir/bad-log" --json >"$dir/out"
grep -q '"verdict":"repairable"' "$dir/out" || fault "log verify --json"
refused 1 "there is no log here" log verify "$dir"
refused 64 "inspect or verify" log mend "$dir/data"
# a directory of another cluster, of another node
refused 1 "$dir/data.*(cluster|belongs)" serve --cluster other "${least[@]}" --data "$dir/data"
refused 1 "$dir/data.*(node|belongs)" serve --node 2 --listen 127.0.0.1:0 \
    --peers "1=127.0.0.1:$peer_port,2=127.0.0.1:$((peer_port + 9))" --data "$dir/data"

# --- a disk that fills up while it serves
if [ "$(id -u)" -eq 0 ] && mkdir "$dir/small" &&
    mount -t tmpfs -o size=6m tmpfs "$dir/small" 2>/dev/null; then
    mounts+=("$dir/small")
    checks=$((checks + 1))
    if start small --data "$dir/small/data" --segment-bytes 1M --checkpoint-log-bytes 64G; then
        value=$(head -c 100000 /dev/zero | tr '\0' v)
        for i in $(seq 200); do
            "$skein" set --connect "127.0.0.1:$port" --timeout-ms 2000 "key$i" "$value" >/dev/null 2>&1 ||
                break
        done
        wait "$pid"
        rc=$?
        [ "$i" -lt 200 ] || fault "a full disk took every write"
        [ "$rc" -eq 1 ] || fault "full disk: exit status $rc"
        tail -n 1 "$dir/small.log" | matches "disk is full.*free some space" ||
            fault "full disk: $(tail -n 1 "$dir/small.log")"
        # with space, and started again, it has what it acknowledged
        mount -o remount,size=12m "$dir/small"
        if start small --data "$dir/small/data" --segment-bytes 1M --checkpoint-log-bytes 64G; then
            for k in 1 $((i - 1)); do
                [ "$("$skein" get --connect "127.0.0.1:$port" "key$k")" = "$value" ] ||
                    fault "key$k is gone after a full disk"
            done
            stop
        fi
    fi
fi

# logged FILE PATTERN: within 20 s a line of the log matches.
logged() {
    for _ in $(seq 200); do
        matches "$2" <"$1" && return 0
        sleep 0.1
    done
    fault "no \"$2\" in: $(tail -n 3 "$1")"
    return 1
}

# --- no space for a checkpoint: it serves on, and says so once; with space it goes on by itself
if [ "$(id -u)" -eq 0 ] && mkdir "$dir/tight" &&
    mount -t tmpfs -o size=24m tmpfs "$dir/tight" 2>/dev/null; then
    mounts+=("$dir/tight")
    checks=$((checks + 1))
    if start tight --data "$dir/tight/data" --segment-bytes 1M --checkpoint-log-bytes 2M \
        --keep-log-bytes 0; then
        value=$(head -c 100000 /dev/zero | tr '\0' v)
        for i in $(seq 96); do
            [ "$i" -ne 60 ] || head -c 6000000 /dev/zero >"$dir/tight/filler"
            "$skein" set --connect "127.0.0.1:$port" "key$i" "$value" >/dev/null 2>&1 ||
                fault "a checkpoint that failed: key$i is refused"
        done
        logged "$dir/tight.log" "no checkpoint can be written.*ENOSPC"
        rm "$dir/tight/filler"
        logged "$dir/tight.log" "checkpoints succeed again"
        [ "$(grep -c "no checkpoint can be written" "$dir/tight.log")" -eq 1 ] ||
            fault "a failing checkpoint is not said once"
        stop
    fi
fi

echo "$checks checks, $faults faults"
[ "$faults" -eq 0 ]
