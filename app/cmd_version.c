/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/utsname.h>

#include "app/commands.h"
#include "app/flags.h"
#include "skein/backend.h"
#include "skein/error.h"
#include "version.h"

static const struct flags_command version_command = {
    .name = "version",
    .usage = "",
    .summary = "version, kernel and features",
};

static void
print_backend(enum skein_backend_kind kind)
{
    struct backend *backend;
    struct skein_backend_options options = {.kind = kind};
    struct skein_backend_choice choice;
    int rc = skein_backend_open(&backend, &options, &choice);
    if (rc == 0)
        skein_backend_close(backend);
    printf("backend %s: %s%s\n", skein_backend_kind_name(kind),
           rc == 0 ? "available" : "refused: ", rc == 0 ? "" : skein_error_text(rc));
}

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
    printf("skein %s (%s)\n", SKEIN_VERSION, SKEIN_REVISION);
    if (uname(&kernel) == 0)
        printf("kernel %s %s %s\n", kernel.sysname, kernel.release, kernel.machine);
    print_backend(SKEIN_BACKEND_IO_URING);
    print_backend(SKEIN_BACKEND_EPOLL);
    print_backend(SKEIN_BACKEND_POLL);
#ifdef SKEIN_MUTATIONS
    printf("mutations: compiled in (a test build)\n");
#endif
    return 0;
}
