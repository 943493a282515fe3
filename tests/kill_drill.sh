#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Kills and freezes real nodes under load and checks the recorded history:
#   tests/kill_drill.sh [BUILD_DIR] [kill_drill options]      default: build, 50 rounds, then an emptied follower
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$top/build}
[ $# -gt 0 ] && shift
[ -x "$build/skein" ] || { echo "kill_drill.sh: no $build/skein: make build first" >&2; exit 64; }
exec "$build/tests/drill/kill_drill" --skein "$build/skein" --wipe "$@"
