#!/bin/bash
# Goal: tools/gdb/skein-gdb.py lists fibers with names and states and prints backtraces of the parked
# ones. Skips (77) where there is no gdb, or gdb may not trace.
set -u
program=$1
helper=$2
command -v gdb >/dev/null || exit 77
gdb -nx -batch -ex 'break main' -ex run "$program" 2>&1 | grep -q '^Breakpoint 1, ' || exit 77
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
failed=0

expect() { # PATTERN: a line of the output matches
    grep -Eq -- "$1" "$directory/out" && return
    echo "no line matches: $1" >&2
    failed=1
}

gdb -nx -batch -ex "source $helper" -ex 'break look_here' -ex run \
    -ex skein-fibers -ex 'skein-bt all' -ex 'skein-bt 1' -ex 'skein-bt nobody' "$program" \
    >"$directory/out" 2>&1
expect '^ +0 main +running'
expect '^ +1 alpha +parked +alpha_waits_deep_down \(.*parked\.c:[0-9]+\)'
expect '^ +2 beta +parked +beta_sleeps \(.*parked\.c:[0-9]+\)'
expect '^ +3 gamma +ready +gamma_begins'
expect '^4 fibers'
expect '#[0-9]+ .* in alpha_waits_deep_down'
expect '#[0-9]+ .* in alpha '
expect '#[0-9]+ .* in fiber_main'
expect 'no fiber nobody'
[ $failed = 0 ] || cat "$directory/out" >&2
exit $failed
