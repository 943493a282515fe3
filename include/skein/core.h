/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_CORE_H
#define SKEIN_CORE_H

/*
 * The runtime, whole: shards and their fibers, files, sockets, names and metrics. Each header says
 * its own part and can be included alone; skein/shard.h is where a program begins.
 */

#include "skein/backend.h"
#include "skein/balancer.h"
#include "skein/breaker.h"
#include "skein/bytes.h"
#include "skein/call.h"
#include "skein/channel.h"
#include "skein/dial.h"
#include "skein/dns.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/file_map.h"
#include "skein/file_stream.h"
#include "skein/file_watch.h"
#include "skein/future.h"
#include "skein/group.h"
#include "skein/io.h"
#include "skein/log.h"
#include "skein/memory.h"
#include "skein/listener.h"
#include "skein/metrics.h"
#include "skein/net.h"
#include "skein/pool.h"
#include "skein/process.h"
#include "skein/runtime.h"
#include "skein/service.h"
#include "skein/shard.h"
#include "skein/socket.h"
#include "skein/sync.h"
#include "skein/timer.h"

#endif
