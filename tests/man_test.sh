#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: manual pages and --help name the same commands and the same options.
#
#   tests/man_test.sh SKEIN DIR     DIR: docs/man
set -u
skein=$1 dir=$2 failed=0

# The options in a text, one a line.
options()
{
    grep -oE -- '--[a-z][a-z0-9-]+' | grep -vx -- --help | sort -u
}

# What a page describes: the entries of its lists.
described()
{
    sed 's/\\-/-/g; s/\\f[BIRP]//g' "$1" | awk '/^\.TP/ { tag = 1; next } tag { print; tag = 0 }' | options
}

fault()
{
    echo "$1"
    failed=1
}

commands=$("$skein" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
[ "$(echo "$commands" | wc -w)" -ge 10 ] || fault "skein --help lists no commands"
for command in $commands; do
    page=$dir/skein-$command.1
    [ -f "$page" ] || { fault "skein $command has no manual page"; continue; }
    sed 's/\\-/-/g' "$dir/skein.1" | grep -qE "skein-$command( |\$)" || fault "skein.1 does not name skein-$command"
    help=$("$skein" "$command" --help) || fault "skein $command --help fails"
    shown=$(echo "$help" | grep -E '^ +--' | awk '{ print $1 }' | options)
    for option in $(comm -23 <(echo "$shown") <(described "$page")); do
        fault "skein-$command.1 does not describe $option"
    done
    for option in $(comm -13 <(echo "$shown") <(described "$page")); do
        fault "skein $command --help does not show $option"
    done
done
exit $failed
