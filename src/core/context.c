/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"

#include "base/assert.h"

#ifdef CONTEXT_ASAN
#include <sanitizer/asan_interface.h>
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

void
context_machine_switch(struct context *from, struct context *to)
{
    skein_assert(swapcontext(&from->saved, &to->saved) == 0);
}

#else

/* switch_*.S: where a new stack begins; calls fn(arg). */
void context_machine_entry(void);

static void
machine_init(struct context *context, void *low, size_t bytes, void (*fn)(void *arg), void *arg)
{
    uint64_t *top = (uint64_t *)(void *)((char *)low + bytes);
#if defined(__x86_64__)
    /* arg and fn for the entry to take; under them a null caller for backtraces. */
    uint64_t *sp = top - 4;
    sp[0] = (uintptr_t)arg;
    sp[1] = (uintptr_t)fn;
    sp[2] = sp[3] = 0;
    context->ip = (void *)(uintptr_t)context_machine_entry;
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
    *context = (struct context){0};
#ifdef CONTEXT_ASAN
    context->stack_low = low;
    context->stack_bytes = bytes;
#endif
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
    context->sp = NULL;
}

void
context_forget_stack(void *low, size_t bytes)
{
#ifdef CONTEXT_ASAN
    __asan_unpoison_memory_region(low, bytes);
#endif
}
