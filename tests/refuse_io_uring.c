/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse_io_uring EPERM|ENOSYS COMMAND [ARGUMENT...]: run a command as a container would that keeps
 * io_uring from it: a seccomp filter answers io_uring_setup with that error.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    unsigned error = argc > 1 && strcmp(argv[1], "ENOSYS") == 0 ? ENOSYS : EPERM;
    if (argc < 3 || (error == EPERM && strcmp(argv[1], "EPERM") != 0)) {
        fprintf(stderr, "usage: refuse_io_uring EPERM|ENOSYS COMMAND [ARGUMENT...]\n");
        return 2;
    }
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        fprintf(stderr, "refuse_io_uring: no filter: %s\n", strerror(errno));
        return 77; /* this kernel has none: skip */
    }
    execvp(argv[2], argv + 2);
    fprintf(stderr, "refuse_io_uring: %s: %s\n", argv[2], strerror(errno));
    return 1;
}
