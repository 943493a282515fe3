/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance/backend_suite.h"
#include "inject/inject.h"

static int
run_here(struct backend_suite_world *world, int (*main_fn)(void *arg), void *arg)
{
    (void)world;
    return main_fn(arg);
}

static int
backend_main(void *arg)
{
    struct backend_suite_world world = {.run = run_here, .directory = "/case"};
    return (int)backend_suite_case_run(&world, arg);
}

struct inject_case
inject_backend_case(size_t index)
{
    const struct backend_suite_case *one = &backend_suite_cases[index];
    return (struct inject_case){
        .name = one->name, .main_fn = backend_main, .arg = (void *)(uintptr_t)one};
}
