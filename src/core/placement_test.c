/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: lists of processors are understood or refused; from a fake /sys and /proc each shard gets
 * the processor it should: whole cores first, node by node or in turn, inside the cpuset only.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/placement.h"

struct fake {
    char root[64];
};

static void
make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

static void
put(const struct fake *fake, const char *path, const char *text)
{
    char whole[256];
    snprintf(whole, sizeof(whole), "%s%s", fake->root, path);
    make_parents(whole);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Two nodes of four processors, each core two threads: 0/4, 1/5 | 2/6, 3/7. */
static void
two_nodes(struct fake *fake, const char *allowed)
{
    char text[128];
    strcpy(fake->root, "/tmp/skein-placement-XXXXXX");
    assert_non_null(mkdtemp(fake->root));
    snprintf(text, sizeof(text), "Name:\tx\nCpus_allowed_list:\t%s\nMems_allowed:\t1\n", allowed);
    put(fake, "/proc/self/status", text);
    put(fake, "/sys/devices/system/node/online", "0-1\n");
    put(fake, "/sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
    put(fake, "/sys/devices/system/node/node1/cpulist", "2-3,6-7\n");
    for (int i = 0; i < 8; i++) {
        char path[100];
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                 i);
        snprintf(text, sizeof(text), "%d,%d\n", i % 4, i % 4 + 4);
        put(fake, path, text);
    }
}

static void
remove_fake(const struct fake *fake)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", fake->root);
    assert_int_equal(system(command), 0);
}

static void
assert_order(const struct placement *placement, const char *expected)
{
    char text[256] = "";
    for (unsigned i = 0; i < placement->cpu_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u ",
                 placement->cpus[i].number);
    assert_string_equal(text, expected);
}

static void
lists_are_understood_or_refused(void **state)
{
    static const char *const bad[] = {
        "",    "\n",   ",",  "1,",   "-1",  "3-1", "1-",  "a",          "0-3x",
        "0;1", "1,,2", "64", "0-64", "0 1", "+1",  "0x1", "4294967296", "18446744073709551616"};
    bool set[64];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(placement_list_parse(bad[i], set, 64), -SKEIN_EINVALID);
    assert_int_equal(placement_list_parse("63", set, 64), 1);
    assert_true(set[63]);
    assert_int_equal(placement_list_parse(" 0-2,2,5 \n", set, 64), 4);
    assert_true(set[0] && set[1] && set[2] && !set[3] && !set[4] && set[5] && !set[63]);
}

static void
whole_cores_come_first(void **state)
{
    struct fake fake;
    static struct placement placement;
    char why[SKEIN_WHY_BYTES];
    two_nodes(&fake, "0-7");
    assert_int_equal(placement_read(&placement, fake.root, NULL, why), 0);
    assert_int_equal(placement.cpu_count, 8);
    assert_int_equal(placement.node_count, 2);
    placement_order(&placement, false);
    assert_order(&placement, "0 1 2 3 4 5 6 7 ");
    placement_order(&placement, true);
    assert_order(&placement, "0 2 1 3 4 6 5 7 ");
    for (int i = 0; i < 8; i++)
        assert_int_equal(placement_memory_node(&placement, placement.cpus[i]), i % 2);
    assert_int_equal(placement_read(&placement, fake.root, "2,7", why), 0);
    assert_int_equal(placement.node_count, 1);
    assert_int_equal(placement_memory_node(&placement, placement.cpus[0]), -1);
    remove_fake(&fake);
}

static void
only_the_cpuset_is_used(void **state)
{
    struct fake fake;
    static struct placement placement;
    char why[SKEIN_WHY_BYTES];
    two_nodes(&fake, "1,3-7");
    assert_int_equal(placement_read(&placement, fake.root, NULL, why), 0);
    placement_order(&placement, false);
    /* 4 and 6 are second threads although the first ones of their cores are not ours. */
    assert_order(&placement, "1 3 4 5 6 7 ");
    assert_int_equal(placement_read(&placement, fake.root, "6,5,1", why), 0);
    placement_order(&placement, true);
    assert_order(&placement, "1 5 6 ");
    assert_int_equal(placement.node_count, 2);
    assert_int_equal(placement_read(&placement, fake.root, "0-1", why), -SKEIN_EINVALID);
    assert_non_null(strstr(why, "processor 0"));
    assert_int_equal(placement_read(&placement, fake.root, "one", why), -SKEIN_EINVALID);
    remove_fake(&fake);
}

static void
a_machine_without_the_files_has_one_node(void **state)
{
    struct fake fake;
    static struct placement placement;
    char why[SKEIN_WHY_BYTES];
    strcpy(fake.root, "/tmp/skein-placement-XXXXXX");
    assert_non_null(mkdtemp(fake.root));
    assert_int_equal(placement_read(&placement, fake.root, NULL, why), -SKEIN_EINVALID);
    assert_non_null(strstr(why, "/proc/self/status"));
    put(&fake, "/proc/self/status", "Name: x\n");
    assert_int_equal(placement_read(&placement, fake.root, NULL, why), -SKEIN_EINVALID);
    put(&fake, "/proc/self/status", "Cpus_allowed_list:\t2-3");
    assert_int_equal(placement_read(&placement, fake.root, NULL, why), 0);
    assert_int_equal(placement.node_count, 1);
    placement_order(&placement, true);
    assert_order(&placement, "2 3 ");
    remove_fake(&fake);
}

static void
nonsense_names_its_file(void **state)
{
    static const struct {
        const char *path;
        const char *text;
    } bad[] = {
        {"/proc/self/status", "Cpus_allowed_list:\t0-9999\n"},
        {"/sys/devices/system/node/online", "0-99\n"},
        {"/sys/devices/system/node/node1/cpulist", "two\n"},
        {"/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "\n"},
    };
    static struct placement placement;
    char why[SKEIN_WHY_BYTES];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fake fake;
        two_nodes(&fake, "0-7");
        put(&fake, bad[i].path, bad[i].text);
        assert_int_equal(placement_read(&placement, fake.root, NULL, why), -SKEIN_EINVALID);
        assert_non_null(strstr(why, bad[i].path));
        remove_fake(&fake);
    }
}

static void
a_node_without_processors_is_memory_only(void **state)
{
    struct fake fake;
    static struct placement placement;
    char why[SKEIN_WHY_BYTES];
    two_nodes(&fake, "0-1");
    put(&fake, "/sys/devices/system/node/node1/cpulist", "\n");
    assert_int_equal(placement_read(&placement, fake.root, NULL, why), 0);
    assert_int_equal(placement.node_count, 1);
    remove_fake(&fake);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_understood_or_refused),
        cmocka_unit_test(whole_cores_come_first),
        cmocka_unit_test(only_the_cpuset_is_used),
        cmocka_unit_test(a_machine_without_the_files_has_one_node),
        cmocka_unit_test(nonsense_names_its_file),
        cmocka_unit_test(a_node_without_processors_is_memory_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
