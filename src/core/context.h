/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONTEXT_H
#define CORE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Switching between stacks, the sanitizers told.
 *
 * On x86-64 and aarch64 a switch is a few instructions of ours (switch_*.S): the registers that the
 * calling convention preserves go on the old stack, the stack pointer is exchanged. The processor's
 * floating-point modes are not saved: no code of ours changes them. Elsewhere, and with
 * -DSKEIN_UCONTEXT, it is swapcontext. errno is saved, as it belongs to the fiber.
 */

#if defined(__SANITIZE_ADDRESS__)
#define CONTEXT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONTEXT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CONTEXT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CONTEXT_TSAN 1
#endif
#endif
#if (!defined(__x86_64__) && !defined(__aarch64__)) || defined(SKEIN_UCONTEXT)
#define CONTEXT_UCONTEXT 1
#include <ucontext.h>
#endif

struct context {
    void *sp;
    const void *stack_low; /* for the sanitizers */
    size_t stack_bytes;
    void *fake_stack; /* AddressSanitizer's */
    void *tsan_fiber; /* ThreadSanitizer's */
#ifdef CONTEXT_UCONTEXT
    ucontext_t saved;
#endif
};

/* context_init_self - @context will hold the running code while it has switched away. */
void context_init_self(struct context *context);
/* context_init - @fn(@arg) on the stack [@low, @low + @bytes), @low + @bytes aligned to 16; @fn
 * calls context_entered first and never returns. */
void context_init(struct context *context, void *low, size_t bytes, void (*fn)(void *arg),
                  void *arg);
/* context_deinit - a context that will not run again. */
void context_deinit(struct context *context);
/* context_entered - first thing on a new stack. @from: who switched here. */
void context_entered(struct context *from);
/* context_switch - save the running code in @from, run @to; returns when somebody switches back.
 * @ends: @from will never be switched to again. */
void context_switch(struct context *from, struct context *to, bool ends);
/* context_forget_stack - the memory will be used as a new stack. */
void context_forget_stack(void *low, size_t bytes);

#endif
