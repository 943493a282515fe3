/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/utsname.h>

#include "app/commands.h"
#include "app/flags.h"
#include "core/uring.h"
#include "skein/error.h"
#include "version.h"

static const struct flags_command version_command = {
    .name = "version",
    .usage = "",
    .summary = "version, kernel and features",
};

int
cmd_version(int argc, char **argv)
{
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&version_command, argc - 1, argv + 1, NULL, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);

    struct utsname kernel;
    struct backend *backend;
    printf("skein %s (%s)\n", SKEIN_VERSION, SKEIN_REVISION);
    if (uname(&kernel) == 0)
        printf("kernel %s %s %s\n", kernel.sysname, kernel.release, kernel.machine);
    int rc = uring_open(&backend, 1);
    if (rc == 0)
        uring_close(backend);
    printf("backend io_uring: %s%s\n",
           rc == 0 ? "available" : "refused: ", rc == 0 ? "" : skein_error_text(rc));
#ifdef SKEIN_MUTATIONS
    printf("mutations: compiled in (a test build)\n");
#endif
    return 0;
}
