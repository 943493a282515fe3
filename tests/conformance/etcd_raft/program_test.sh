#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: etcd-raft says 0 only when nothing differs, 1 when something does, 2 when it could not tell.
# $1: the program.
set -u
program=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

expect() { # code, part of the output
    output=$("$program" "$dir" 2>&1)
    code=$?
    if [ $code != "$1" ] || ! grep -qF -- "$2" <<<"$output"; then
        printf 'wanted %s and "%s", got %s:\n%s\n' "$1" "$2" $code "$output"
        failed=1
    fi
}

expect 2 'No such file'
mkdir "$dir"/{quorum,confchange,interaction}
expect 2 'no command was found'

printf '%s\n' 'vote cfg=(1,2) cfgj=(2,3) votes=(y,y,n)' ---- VoteLost '' \
    'committed cfg=(1,2,3) cfgj=zero idx=(7,9,_)' ---- '       idx' 'x>       7    (id=1)' \
    'xx>      9    (id=2)' '?        0    (id=3)' 7 '' \
    'committed cfg=(3) cfgj=(1) idx=(4,2)' ---- '      idx' '>       2    (id=1)' \
    'x>      4    (id=3)' 2 '' \
    'committed cfgj=zero' ---- '<empty majority quorum>∞' '' \
    'vote' ---- VoteWon '' \
    'vote cfg=(2,1) votes=(y)' ---- \
    'error: mismatched input (explicit or _) for voters map[1:{} 2:{}]: [2]' >"$dir"/quorum/a.txt
printf '%s\n' simple 'v1 l2 u1 u7' ---- 'voters=(1) learners=(2)' '1: StateProbe match=0 next=1' \
    '2: StateProbe match=0 next=1 learner' '' \
    simple x1 ---- 'unknown input: x1' '' simple v ---- 'unknown token v' '' \
    simple vn ---- 'strconv.ParseUint: parsing "n": invalid syntax' '' \
    simple v99999999999999999999 ---- \
    'strconv.ParseUint: parsing "99999999999999999999": value out of range' '' \
    'enter-joint autoleave=true' 'v2 l1 v3' ---- 'voters=(2 3)&&(1) learners_next=(1) autoleave' \
    '1: StateProbe match=0 next=1' '2: StateProbe match=0 next=1' '3: StateProbe match=0 next=5' '' \
    leave-joint v1 ---- 'this command takes no input' '' \
    leave-joint ---- 'voters=(2 3) learners=(1)' '1: StateProbe match=0 next=1 learner' \
    '2: StateProbe match=0 next=1' '3: StateProbe match=0 next=5' '' \
    no-such-command ---- 'unknown command' >"$dir"/confchange/a.txt
expect 0 '0 differ, 0 malformed'

sed 's/VoteLost/VoteWon/' "$dir"/quorum/a.txt >"$dir"/quorum/b.txt
expect 1 '- VoteWon'
printf 'vote cfg=(1) votes=(maybe)\n----\n' >"$dir"/quorum/b.txt
expect 2 'unknown vote'
printf 'enter-joint autoleave=soon\n----\n' >"$dir"/confchange/b.txt
rm "$dir"/quorum/b.txt
expect 2 'autoleave'
printf 'simple\nv1\n' >"$dir"/confchange/b.txt
expect 2 'line 1'
rm "$dir"/confchange/b.txt
mkdir "$dir"/quorum/folder
expect 2 'not a file'
rmdir "$dir"/quorum/folder
rm -r "$dir"/confchange
expect 2 'No such file'

exit $failed
