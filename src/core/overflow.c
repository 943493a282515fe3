/* SPDX-License-Identifier: Apache-2.0 */
#include "core/overflow.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/internal.h"

#define SIGNAL_STACK_BYTES 65536

static void
print(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n;
}

static void
on_fault(int number, siginfo_t *info, void *machine)
{
    const struct skein_shard *shard = skein_shard_current();
    const struct skein_fiber *fiber = shard ? shard->running : NULL;
    if (fiber && stack_guards(fiber->stack, info->si_addr)) {
        print("skein: stack overflow in fiber \"");
        print(fiber->name);
        print("\"\n");
    }
    /* The instruction faults again and ends the process the usual way. */
    signal(number, SIG_DFL);
}

void *
overflow_watch(void)
{
    struct sigaction before;
    stack_t stack_before;
    if (sigaction(SIGSEGV, NULL, &before) < 0 || sigaltstack(NULL, &stack_before) < 0)
        return NULL;
    bool ours = (before.sa_flags & SA_SIGINFO) && before.sa_sigaction == on_fault;
    bool unhandled = !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL;
    if ((!ours && !unhandled) || !(stack_before.ss_flags & SS_DISABLE))
        return NULL;
    stack_t stack = {.ss_sp = mem_alloc(SIGNAL_STACK_BYTES), .ss_size = SIGNAL_STACK_BYTES};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&stack, NULL) < 0 || sigaction(SIGSEGV, &action, NULL) < 0) {
        overflow_unwatch(stack.ss_sp);
        return NULL;
    }
    return stack.ss_sp;
}

void
overflow_unwatch(void *signal_stack)
{
    if (!signal_stack)
        return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    mem_free(signal_stack);
}
