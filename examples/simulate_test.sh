#!/bin/bash
# Goal: the simulated register passes, the same seed gives the same run, and the bug is found.
#   examples/simulate_test.sh PROGRAM
set -uo pipefail
program=$1
faults=0
fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}
first=$("$program") || fault "a seed does not pass: $first"
[ "$first" = "$("$program")" ] || fault "two runs of the same seeds differ"
grep -q ' 0 crashes' <<<"$first" && fault "a seed without a crash: $first"
found=$("$program" --bug) && fault "a write that is not durable was not missed in 20 seeds"
grep -q 'not linearizable' <<<"$found" || fault "no word about what was lost: $found"
[ "$faults" -eq 0 ]
