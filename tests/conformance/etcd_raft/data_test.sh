#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the core behaves as etcd's published files say. $1: the program. Skips where the files are
# not: they are read from $SKEIN_DATA, or from shared/data beside the repository.
data=${SKEIN_DATA:-$(dirname "$0")/../../../../shared/data}/etcd-raft
if [ ! -d "$data" ]; then
    echo "skipped: no folder $data"
    exit 77
fi
exec "$1" "$data"
