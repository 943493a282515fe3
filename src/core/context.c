/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"

#include <errno.h>
#include <stdint.h>

#include "base/assert.h"

#ifdef CONTEXT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CONTEXT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifdef CONTEXT_UCONTEXT

static void
ucontext_entry(unsigned fn_high, unsigned fn_low, unsigned arg_high, unsigned arg_low)
{
    uint64_t fn = (uint64_t)fn_high << 32 | fn_low;
    uint64_t arg = (uint64_t)arg_high << 32 | arg_low;
    ((void (*)(void *))(uintptr_t)fn)((void *)(uintptr_t)arg);
    skein_unreachable();
}

static void
machine_init(struct context *context, void *low, size_t bytes, void (*fn)(void *arg), void *arg)
{
    skein_assert(getcontext(&context->saved) == 0);
    context->saved.uc_stack.ss_sp = low;
    context->saved.uc_stack.ss_size = bytes;
    context->saved.uc_link = NULL;
    uint64_t f = (uintptr_t)fn;
    uint64_t a = (uintptr_t)arg;
    makecontext(&context->saved, (void (*)(void))(uintptr_t)ucontext_entry, 4, (unsigned)(f >> 32),
                (unsigned)f, (unsigned)(a >> 32), (unsigned)a);
}

static void
machine_switch(struct context *from, struct context *to)
{
    skein_assert(swapcontext(&from->saved, &to->saved) == 0);
}

#else

/* switch_*.S: push what a call preserves, *@save_sp = sp, sp = @load_sp, pop, return. */
void context_machine_switch(void **save_sp, void *load_sp);
/* switch_*.S: where a new stack's first switch "returns" to; calls fn(arg). */
void context_machine_entry(void);

static void
machine_init(struct context *context, void *low, size_t bytes, void (*fn)(void *arg), void *arg)
{
    uint64_t *top = (uint64_t *)(void *)((char *)low + bytes);
#if defined(__x86_64__)
    /* r15 r14 r13 r12 rbx rbp, the return address, then a null caller for backtraces. */
    uint64_t *sp = top - 8;
    for (int i = 0; i < 8; i++)
        sp[i] = 0;
    sp[2] = (uintptr_t)fn;
    sp[3] = (uintptr_t)arg;
    sp[6] = (uintptr_t)context_machine_entry;
#else
    /* x19 ... x28, x29, x30, d8 ... d15. */
    uint64_t *sp = top - 20;
    for (int i = 0; i < 20; i++)
        sp[i] = 0;
    sp[0] = (uintptr_t)arg;
    sp[1] = (uintptr_t)fn;
    sp[11] = (uintptr_t)context_machine_entry;
#endif
    context->sp = sp;
}

static void
machine_switch(struct context *from, struct context *to)
{
    context_machine_switch(&from->sp, to->sp);
}

#endif

void
context_init_self(struct context *context)
{
    *context = (struct context){0};
#ifdef CONTEXT_TSAN
    context->tsan_fiber = __tsan_get_current_fiber();
#endif
}

void
context_init(struct context *context, void *low, size_t bytes, void (*fn)(void *arg), void *arg)
{
    skein_assert(((uintptr_t)low + bytes) % 16 == 0);
    skein_assert(fn != NULL);
    *context = (struct context){.stack_low = low, .stack_bytes = bytes};
#ifdef CONTEXT_TSAN
    context->tsan_fiber = __tsan_create_fiber(0);
#endif
    machine_init(context, low, bytes, fn, arg);
}

void
context_deinit(struct context *context)
{
#ifdef CONTEXT_TSAN
    if (context->tsan_fiber)
        __tsan_destroy_fiber(context->tsan_fiber);
#endif
    *context = (struct context){0};
}

void
context_entered(struct context *from)
{
#ifdef CONTEXT_ASAN
    __sanitizer_finish_switch_fiber(NULL, &from->stack_low, &from->stack_bytes);
#endif
}

void
context_switch(struct context *from, struct context *to, bool ends)
{
    int saved_errno = errno;
#ifdef CONTEXT_ASAN
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->stack_low, to->stack_bytes);
#endif
#ifdef CONTEXT_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    machine_switch(from, to);
#ifdef CONTEXT_ASAN
    /* Fibers and their scheduler switch in pairs, so it was @to that switched back. */
    __sanitizer_finish_switch_fiber(from->fake_stack, &to->stack_low, &to->stack_bytes);
#endif
    errno = saved_errno;
}

void
context_forget_stack(void *low, size_t bytes)
{
#ifdef CONTEXT_ASAN
    __asan_unpoison_memory_region(low, bytes);
#endif
}
