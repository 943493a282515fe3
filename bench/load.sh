#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The load of bench/run: filling, measuring, and the proof that the writes were writes.
# Sourced; wants what servers.sh gives, and: samples, seconds, key_count, value_bytes.
# shellcheck disable=SC2154

etcd_key=skein-bench
etcd_put=/etcdserverpb.KV/Put
etcd_range=/etcdserverpb.KV/Range
etcd_body= # a file: one gRPC message, a PutRequest of etcd_key and a value
etcd_get_body= # so, a RangeRequest of etcd_key: linearizable, as it is by default

declare -A rate_known=() # of system, operation and shape: from its last run

run_limited() {
    timeout $((seconds * 10 + 60)) "$@"
}

# The line that redis-benchmark reports, as "rate p50_us". @1 port @2 operation @3 clients
# @4 outstanding @5 count.
run_redis_benchmark() {
    local log=$work/redis-benchmark.log
    run_limited redis-benchmark -p "$1" -t "$2" -c "$3" -P "$4" -n "$5" -r "$key_count" \
        -d "$value_bytes" --csv >"$log" 2>&1 || { tail -3 "$log" >&2; die "redis-benchmark failed"; }
    if grep -i '^error' "$log" >&2; then
        die "redis-benchmark met an error"
    fi
    awk -F '","' -v name="\"${2^^}" '
        $1 == name { printf "%s %.1f\n", $2, $5 * 1000; found = 1 }
        END { exit !found }' "$log" || { tail -3 "$log" >&2; die "redis-benchmark: no result"; }
}

# The same by h2load; each answer has to be there (check_values looks at what they were). Its
# median needs a line a request, which only one client at a time writes.
run_h2load() {
    local port=$1 operation=$2 clients=$3 outstanding=$4 count=$5
    local log=$work/h2load.log times=$work/h2load.times extra=() body=$etcd_body path=$etcd_put
    [ "$operation" = set ] || { body=$etcd_get_body path=$etcd_range; }
    rm -f "$times"
    [ "${clients}x$outstanding" = 1x1 ] && extra=("--log-file=$times")
    run_limited h2load -n "$count" -c "$clients" -m "$outstanding" -d "$body" \
        -H 'content-type: application/grpc' -H 'te: trailers' "${extra[@]}" \
        "http://127.0.0.1:$port$path" >"$log" 2>&1 || { tail -3 "$log" >&2; die "h2load failed"; }
    grep -q " $count succeeded, 0 failed, 0 errored" "$log" ||
        { grep ^requests "$log" >&2; die "h2load: not every request succeeded"; }
    [ "$operation" = get ] || etcd_sent=$((etcd_sent + count))
    h2load_result="$(sed -n 's/^finished in [^ ]*, \([0-9.]*\) req.*/\1/p' "$log") $(median_of "$times")"
}

# The median of the third column; "-" without the file.
median_of() {
    [ -s "$1" ] || { echo -; return; }
    cut -f 3 "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# One run of system @1: sets result to "rate p50_us".
run_once() {
    local system=$1 operation=$2 shape=$3 count=$4 port
    port=$(leader_port "$system")
    [ -n "$port" ] || die "$system has no leader"
    if [ "$system" = etcd ]; then
        run_h2load "$port" "$operation" "${shape%x*}" "${shape#*x}" "$count"
        result=$h2load_result
    else
        result=$(run_redis_benchmark "$port" "$operation" "${shape%x*}" "${shape#*x}" "$count")
    fi
    if [ "$(leader_port "$system")" != "$port" ]; then
        echo "bench: the leader of $system changed during $operation $shape" >&2
    fi
}

# What earlier runs left to do (checkpoints, memory to be given back) is not the next one's cost: wait
# until system @1 is below a twentieth of a core for a quarter of a second, 5 s at most.
settle() {
    local i before after
    for ((i = 0; i < 20; i++)); do
        before=$(cpu_us "$1")
        sleep 0.25
        after=$(cpu_us "$1")
        [ $((after - before)) -gt 12500 ] || return 0
    done
}

# Signal @1 for all processes of the systems @2...
signal_systems() {
    local signal=$1 system pid
    shift
    for system in "$@"; do
        for pid in ${pids[$system]}; do
            kill "-$signal" "$pid" || die "a process of $system ended"
        done
    done
}

# System @1 goes on, the others stand still: what they do when idle (heartbeats, timers, a
# collector's threads) would break into its sleeps, and each wake-up costs it CPU.
alone() {
    local system
    for system in $systems; do
        if [ "$system" = "$1" ]; then
            signal_systems CONT "$system"
        else
            signal_systems STOP "$system"
        fi
    done
    sleep 1 # what had timed out meanwhile is dialled again
    wait_until "$1" has_leader "$1"
}

# Prints a line "sample system operation shape repeat rate cpu_us p50_us". The count is what the last
# run's rate makes in the wanted seconds, so the first run is a short one that is not counted.
measure() {
    local system=$1 operation=$2 shape=$3 repeat=$4 known=$1.$2.$3 before after count
    local width=$((${shape%x*} * ${shape#*x}))
    alone "$system"
    if [ -z "${rate_known[$known]:-}" ]; then
        run_once "$system" "$operation" "$shape" $((width * 10 + 500 - 500 % width))
        rate_known[$known]=${result%% *}
    fi
    count=$(awk -v rate="${rate_known[$known]}" -v seconds="$seconds" -v width="$width" \
        'BEGIN { n = int(rate * seconds / width); print (n < 1 ? 1 : n) * width }')
    settle "$system"
    before=$(cpu_us "$system")
    run_once "$system" "$operation" "$shape" "$count"
    after=$(cpu_us "$system")
    rate_known[$known]=${result%% *}
    awk -v head="sample	$system	$operation	$shape	$repeat" -v result="$result" \
        -v spent=$((after - before)) -v count="$count" '
        BEGIN { split(result, r, " "); printf "%s\t%s\t%.3f\t%s\n", head, r[1], spent / count, r[2] }'
}

# Every key once, through the pipe, to the RESP port @1.
fill() {
    local log=$work/fill.log
    awk -v count="$key_count" -v bytes="$value_bytes" 'BEGIN {
        value = sprintf("%" bytes "s", ""); gsub(/ /, "v", value)
        for (i = 0; i < count; i++)
            printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n", i, bytes, value
    }' | timeout 300 redis-cli -p "$1" --pipe >"$log" 2>&1 || { cat "$log" >&2; die "filling failed"; }
    grep -q "errors: 0, replies: $key_count" "$log" || { cat "$log" >&2; die "filling failed"; }
}

# File @2: one gRPC frame (no compression, length) around file @1.
frame() {
    # shellcheck disable=SC2059
    {
        printf "\\0$(printf '%08x' "$(stat -c %s "$1")" | sed 's/../\\x&/g')"
        cat "$1"
    } >"$2"
}

# PutRequest {1: key, 2: value} and RangeRequest {1: key}.
make_etcd_bodies() {
    local value request varint
    value=$(printf "%${value_bytes}s" '' | tr ' ' v)
    printf -v varint '\\x%02x\\x%02x' $((value_bytes % 128 + 128)) $((value_bytes / 128))
    etcd_body=$work/put.grpc
    request=$work/put.request
    {
        # shellcheck disable=SC2059
        printf "\\x0a\\x$(printf %02x ${#etcd_key})$etcd_key\\x12$varint"
        printf %s "$value"
    } >"$request"
    frame "$request" "$etcd_body"
    etcd_get_body=$work/range.grpc
    # shellcheck disable=SC2059
    printf "\\x0a\\x$(printf %02x ${#etcd_key})$etcd_key" >"$request"
    frame "$request" "$etcd_get_body"
}

etcd_get() {
    ETCDCTL_API=3 etcdctl --endpoints "$(etcd_endpoints)" get "$etcd_key" -w fields
}

# One Put of the body is answered with grpc-status 0 and can be read with etcd's own client.
prepare_etcd() {
    local answer
    make_etcd_bodies
    answer=$(nghttp -v -d "$etcd_body" -H 'content-type: application/grpc' -H 'te: trailers' \
        "http://127.0.0.1:$(leader_port etcd)$etcd_put" 2>&1 | tr -d '\0') || die "nghttp failed"
    grep -q 'grpc-status: 0' <<<"$answer" || { echo "$answer" >&2; die "etcd refused the Put"; }
    etcd_get | grep -qx "\"Value\" : \"v\{$value_bytes\}\"" || die "etcd has not got the value"
    etcd_sent=1
}

prepare() {
    local system
    for system in $systems; do
        case $system in
        etcd) prepare_etcd ;;
        *) fill "$(leader_port "$system")" ;;
        esac
    done
}

# After the runs: etcd counted every Put as a version of the key, and the keys of the others
# hold values of the right size.
check_values() {
    local system port version i
    for system in $systems; do
        if [ "$system" = etcd ]; then
            version=$(etcd_get | sed -n 's/^"Version" : //p')
            [ "$version" = "$etcd_sent" ] || die "etcd made $version of $etcd_sent Puts"
            continue
        fi
        port=$(leader_port "$system")
        [ "$(redis-cli -p "$port" DBSIZE)" = "$key_count" ] || die "$system: keys are missing"
        for ((i = 0; i < 20; i++)); do
            [ "$(redis-cli -p "$port" STRLEN "$(printf 'key:%012d' $((i * key_count / 20)))")" = \
                "$value_bytes" ] || die "$system: a value is missing"
        done
    done
}
