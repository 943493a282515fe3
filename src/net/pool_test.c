/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: pools keep to their bounds, reuse what lives, fail over, serve in order and leave nothing
 * behind, on the kernel's sockets. The same cases in virtual time: tests/net. */
#include "net/net_test.h"

#include "net/pool_cases.h"

static void
run_cases(void **state)
{
    unsigned before_count = net_test_descriptor_count();
    net_test_run(pool_cases);
    assert_int_equal(net_test_descriptor_count(), before_count);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_cases)};
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
