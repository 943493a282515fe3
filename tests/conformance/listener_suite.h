/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFORMANCE_LISTENER_SUITE_H
#define TESTS_CONFORMANCE_LISTENER_SUITE_H

#include "conformance/shards_suite.h"

/* What skein/listener.h promises, on threads and in the simulator, on SHARDS_SUITE_COUNT shards.
 * Ends with a NULL name. Run by shards_suite_main. */
extern const struct shards_suite_case listener_suite_cases[];

#endif
