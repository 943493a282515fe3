/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_NET_TEST_H
#define NET_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>

#include "base/assert.h"
#include "core/check.h"
#include "skein/backend.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/net.h"
#include "skein/shard.h"

/* What the tests of net share: a shard on the kernel, and addresses on loopback. */

#define NET_TEST_MS UINT64_C(1000000)

static const struct skein_endpoint net_test_loopback = {
    .addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}},
};

static inline uint64_t
net_test_soon(void)
{
    return skein_deadline_in(5000 * NET_TEST_MS);
}

/* net_test_descriptor_count - how many are open, and a few that are always there. */
static inline unsigned
net_test_descriptor_count(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* net_test_run - @main_fn(struct check *) as the first fiber of a shard; its checks must hold. The
 * backend is io_uring, or what SKEIN_TEST_BACKEND names. */
static inline void
net_test_run(int (*main_fn)(void *arg))
{
    struct backend *backend;
    struct skein_shard *shard;
    struct check check = {0};
    struct skein_backend_options backend_options = {.kind = SKEIN_BACKEND_IO_URING};
    struct skein_backend_choice choice;
    const char *name = getenv("SKEIN_TEST_BACKEND");
    if (name)
        assert_int_equal(skein_backend_kind_parse(name, &backend_options.kind), 0);
    assert_int_equal(skein_backend_open(&backend, &backend_options, &choice), 0);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    assert_int_equal(skein_shard_run(shard, main_fn, &check), 0);
    assert_int_equal(check.failed_count, 0);
    skein_shard_close(shard);
    skein_stack_pool_close(stacks);
    skein_backend_close(backend);
}

#endif
