#!/bin/bash
# Goal: the echo server echoes to several clients at once and refuses a bad address; the chat room
# carries lines to everybody, by name, and says who leaves; both end at SIGTERM. $1: where they are.
set -u
directory=$(mktemp -d)
server=
trap 'kill -KILL $server 2>/dev/null; rm -rf "$directory"' EXIT

fail() {
    echo "fibers_test: $*" >&2
    exit 1
}

start() { # PROGRAM: on a free port, which goes to $port
    "$1" 127.0.0.1:0 >"$directory/out" 2>"$directory/err" &
    server=$!
    for _ in $(seq 200); do
        port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$directory/out")
        [ -n "$port" ] && return
        kill -0 $server 2>/dev/null || fail "$1: $(cat "$directory/err")"
        read -rt 0.05 <> <(:)
    done
    fail "$1 does not listen"
}

stop() {
    kill -TERM $server
    wait $server || fail "it ended with $?: $(cat "$directory/err")"
}

expect() { # FD TEXT: the next line of the descriptor
    read -rt 20 -u "$1" line || fail "no line where \"$2\" was to come"
    [ "$line" = "$2" ] || fail "\"$line\" where \"$2\" was to come"
}

"$1/01_echo_server" 2>/dev/null && fail "no address, and it runs"
"$1/01_echo_server" nonsense 2>"$directory/err" && fail "a bad address, and it runs"
grep -q HOST:PORT "$directory/err" || fail "it does not say what is right: $(cat "$directory/err")"

start "$1/01_echo_server"
exec 3<>"/dev/tcp/127.0.0.1/$port" 4<>"/dev/tcp/127.0.0.1/$port"
for i in 1 2 3; do
    echo "first $i" >&3
    echo "second $i" >&4
    expect 4 "second $i"
    expect 3 "first $i"
done
head -c 300000 /dev/zero | tr '\0' x >"$directory/sent"
echo >>"$directory/sent"
cat "$directory/sent" >&3 &
head -c 300001 <&3 >"$directory/got"
wait $!
cmp -s "$directory/sent" "$directory/got" || fail "300,000 bytes did not come back as they went"
exec 3>&- 4>&-
stop

start "$1/02_chat"
exec 3<>"/dev/tcp/127.0.0.1/$port"
echo ann >&3
expect 3 "ann is here"
exec 4<>"/dev/tcp/127.0.0.1/$port"
printf 'bob\r\n' >&4
expect 3 "bob is here"
expect 4 "bob is here"
echo "hello there" >&4
expect 3 "bob: hello there"
expect 4 "bob: hello there"
exec 4>&-
expect 3 "bob has left"
stop
exec 3>&-
