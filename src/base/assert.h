/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include "skein/error.h"

/*
 * Assertions, for a programmer's errors only: bytes from a peer, a disk or a user are never
 * asserted on. skein_assert stays on in release builds; skein_assert_slow is for checks that cost
 * more than the work they guard, and is on in debug builds and in the simulator's test build.
 */

/* base_die - print "skein: file:line: text" to standard error and abort the process. */
_Noreturn void base_die(const char *file, int line, const char *text);

#define skein_assert(cond) \
    (__builtin_expect(!!(cond), 1) ? (void)0 : base_die(__FILE__, __LINE__, "assertion " #cond))

#if defined(SKEIN_MUTATIONS) || !defined(__OPTIMIZE__)
#define skein_assert_slow(cond) skein_assert(cond)
#else
#define skein_assert_slow(cond) ((void)sizeof(!!(cond)))
#endif

#define skein_unreachable() base_die(__FILE__, __LINE__, "unreachable")

#define BASE_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define BASE_CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
