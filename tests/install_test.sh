#!/bin/bash
# Goal: what is installed is enough. Every public header compiles alone, as C and as C++, and every
# example compiles and links in an empty folder with pkg-config's flags, without a look at the
# source tree.
#   tests/install_test.sh MESON BUILD_DIR
# Exit status: 0 when all holds, else 1.
set -uo pipefail
meson=$1
build=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
faults=0

fault() {
    echo "FAULT: $*"
    faults=$((faults + 1))
}

"$meson" install -C "$build" --no-rebuild --quiet --destdir "$dir/root" >"$dir/out" 2>&1 || {
    echo "FAULT: meson install: $(tail -n 3 "$dir/out")"
    exit 1
}
pc=$(find "$dir/root" -name skein.pc)
[ -n "$pc" ] || fault "no skein.pc"
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dir/root
# A build with sanitizers links only with their runtime.
read -ra sanitize < <("$meson" introspect "$build" --buildoptions |
    grep -o '"name": "b_sanitize", "value": "[^"]*"' |
    sed -E 's/.*"([^"]*)"$/\1/; s/^none$//; s/^(.+)$/-fsanitize=\1/')
mkdir "$dir/empty"
cd "$dir/empty" || exit 1

read -ra flags < <(pkg-config --cflags skein)
include=$(find "$dir/root" -path '*/include/skein')
for header in "$include"/*.h; do
    echo "#include <skein/${header##*/}>" >one.c
    gcc -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only "${flags[@]}" one.c >out 2>&1 ||
        fault "${header##*/} as C: $(head -n 3 out)"
    command -v g++ >/dev/null || continue
    g++ -x c++ -std=c++17 -Wall -Wextra -Werror -pedantic -fsyntax-only "${flags[@]}" one.c >out 2>&1 ||
        fault "${header##*/} as C++: $(head -n 3 out)"
done

examples=$(find "$dir/root" -path '*/doc/skein/examples')
count=0
for source in "$examples"/*.c; do
    package=skein
    grep -q 'skein/sim.h' "$source" && package=skein-sim
    read -ra flags < <(pkg-config --cflags --libs "$package")
    gcc -std=gnu11 -Wall -Werror -o one "$source" "${sanitize[@]}" "${flags[@]}" >out 2>&1 ||
        fault "${source##*/}: $(head -n 3 out)"
    count=$((count + 1))
done
[ "$count" -ge 9 ] || fault "$count examples"

echo "$count examples, $faults faults"
[ "$faults" = 0 ]
