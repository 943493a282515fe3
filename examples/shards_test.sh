#!/bin/bash
# Goal: the parallel hash is the same with any number of shards, is the one computed here by hand for
# small files, and says which file it could not read; the worker pool answers rightly and in order,
# every job once, and refuses what is no number of shards. $1: where they are.
set -u
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

fail() {
    echo "shards_test: $*" >&2
    exit 1
}

fnv() { # of the bytes named in hex, as hex
    local value=$((0xcbf29ce484222325)) byte
    for byte in "$@"; do
        value=$(((value ^ 0x$byte) * 0x100000001b3))
    done
    printf '%016x' "$value"
}

# A file of one block: the hash of the eight bytes, the lowest first, of the hash of its bytes.
printf abc >"$directory/abc"
: >"$directory/empty"
block=$(fnv 61 62 63)
expected=$(fnv $(echo "$block" | sed 's/../& /g' | tr ' ' '\n' | tac))
head -c 5500000 /dev/urandom >"$directory/large"

hash="$1/03_parallel_hash"
"$hash" 1 "$directory"/{abc,empty,large} >"$directory/one" || fail "one shard: $?"
"$hash" 3 "$directory"/{abc,empty,large} >"$directory/three" || fail "three shards: $?"
cmp "$directory/one" "$directory/three" || fail "one shard and three differ"
grep -qx "$expected  $directory/abc" "$directory/one" || fail "abc: not $expected"
grep -qx "cbf29ce484222325  $directory/empty" "$directory/one" || fail "the empty file's hash"
"$hash" 2 "$directory/abc" "$directory/none" >"$directory/out" 2>"$directory/err" && fail "no file, no error"
grep -q "$directory/none: No such file" "$directory/err" || fail "$(cat "$directory/err")"
grep -q "  $directory/abc$" "$directory/out" || fail "one bad file, and the others are left out"
for bad in x 1x 257 ''; do
    "$hash" "$bad" "$directory/abc" 2>/dev/null && fail "\"$bad\" shards"
done

pool="$1/05_worker_pool"
printf '%s\n' 10 2 0 1000 100 10000 3 >"$directory/numbers"
printf '%s\n' '10: 4' '2: 0' '0: 0' '1000: 168' '100: 25' '10000: 1229' '3: 1' >"$directory/answers"
for shards in 1 3; do
    "$pool" $shards <"$directory/numbers" >"$directory/out" || fail "the pool: $?"
    head -7 "$directory/out" | cmp - "$directory/answers" || fail "the pool's answers"
    awk '/^shard/ { n++; done += $4 } END { exit !(n == '$shards' && done == 7) }' "$directory/out" ||
        fail "jobs done: $(cat "$directory/out")"
done
"$pool" 2 </dev/null >/dev/null || fail "no jobs"
echo 100000000000 | "$pool" 2 >/dev/null 2>&1 && fail "a number beyond the limit"
"$pool" </dev/null 2>/dev/null && fail "no shards named"
exit 0
