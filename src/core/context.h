/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONTEXT_H
#define CORE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Switching between stacks, the sanitizers told.
 *
 * The cost of a switch is the processor's predictor of returns, which knows one stack only: after a
 * switch each return is mispredicted, at about 10 ns. So on x86-64
 *  - the scheduler's side (context_resume) is inline, in the middle of the loop that picks fibers:
 *    no call and no return;
 *  - the fiber's side (context_suspend, switch_x86_64.S) is tail-called by what parks. When the
 * fiber is resumed it goes straight to the code that asked, by a jump, which the predictor of jumps
 *    learns, with the result in the register where a function's result is expected.
 * On aarch64 a function of ours exchanges the stacks both ways; elsewhere, and with
 * -DSKEIN_UCONTEXT, it is swapcontext.
 *
 * Not saved: the processor's floating-point modes (no code of ours changes them), and errno, which
 * is the fiber's and saved by core/internal.h.
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
#if defined(__x86_64__) && !defined(SKEIN_UCONTEXT) && !defined(CONTEXT_ASAN) && \
    !defined(CONTEXT_TSAN)
#define CONTEXT_TAIL 1
#endif
#if (!defined(__x86_64__) && !defined(__aarch64__)) || defined(SKEIN_UCONTEXT)
#define CONTEXT_UCONTEXT 1
#include <ucontext.h>
#endif
#ifdef CONTEXT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CONTEXT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* tools/gdb/skein-gdb.py reads the first three. */
struct context {
    void *sp;
    void *fp; /* x86-64 */
    void *ip; /* x86-64 */
#ifndef CONTEXT_TAIL
    int value; /* given by context_resume, where no register carries it */
#endif
#ifdef CONTEXT_ASAN
    const void *stack_low;
    size_t stack_bytes;
    void *fake_stack;
#endif
#ifdef CONTEXT_TSAN
    void *tsan_fiber;
#endif
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
/* context_forget_stack - the memory will be used as a new stack. */
void context_forget_stack(void *low, size_t bytes);

/* context_entered - first thing on a new stack. @from: who switched here. */
static inline void
context_entered(struct context *from)
{
#ifdef CONTEXT_ASAN
    __sanitizer_finish_switch_fiber(NULL, &from->stack_low, &from->stack_bytes);
#endif
}

#if defined(CONTEXT_UCONTEXT)
void context_machine_switch(struct context *from, struct context *to);
#elif defined(__x86_64__)
#define CONTEXT_CLOBBERS                                                                           \
    "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",     \
        "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
        "xmm13", "xmm14", "xmm15", "memory", "cc"

static inline __attribute__((always_inline)) void
context_machine_switch(struct context *from, struct context *to)
{
    _Static_assert(offsetof(struct context, sp) == 0, "the assembly below knows the offsets");
    _Static_assert(offsetof(struct context, fp) == 8, "the assembly below knows the offsets");
    _Static_assert(offsetof(struct context, ip) == 16, "the assembly below knows the offsets");
    /* What rdi and rsi hold afterwards is whoever switched back's. */
    struct context *save = from;
    struct context *load = to;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, (%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%rax, 16(%0)\n\t"
                     "movq (%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "jmpq *16(%1)\n"
                     "1:\n\t"
                     : "+D"(save), "+S"(load)
                     :
                     : "rax", CONTEXT_CLOBBERS);
}
#else
/* switch_aarch64.S: push what a call preserves, *@save_sp = sp, sp = @load_sp, pop, return. */
void context_stack_switch(void **save_sp, void *load_sp);

static inline void
context_machine_switch(struct context *from, struct context *to)
{
    context_stack_switch(&from->sp, to->sp);
}
#endif

/* context_switch - save the running code in @from, run @to; returns when somebody switches back.
 * @ends: @from will never be switched to again. */
static inline __attribute__((always_inline)) void
context_switch(struct context *from, struct context *to, bool ends)
{
#ifdef CONTEXT_ASAN
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->stack_low, to->stack_bytes);
#else
    (void)ends;
#endif
#ifdef CONTEXT_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    context_machine_switch(from, to);
#ifdef CONTEXT_ASAN
    /* Fibers and their scheduler switch in pairs, so it was @to that switched back. */
    __sanitizer_finish_switch_fiber(from->fake_stack, &to->stack_low, &to->stack_bytes);
#endif
}

/* context_prefetch - @context will run soon: have the lowest frames of its stack, those of what it
 * waits in, in the cache by then. */
static inline void
context_prefetch(const struct context *context)
{
    const char *frames = context->sp;
    for (int i = 0; i < 5; i++)
        __builtin_prefetch(frames + i * 64, 1);
}

#ifdef CONTEXT_TAIL
int context_machine_suspend(struct context *from, struct context *to);
#endif

/* context_resume - run @to, which was suspended or is new, until it suspends itself to @from. There
 * its context_suspend returns @value. */
static inline __attribute__((always_inline)) void
context_resume(struct context *from, struct context *to, int value)
{
#ifdef CONTEXT_TAIL
    struct context *save = from;
    struct context *load = to;
    __asm__ volatile("leaq 1f(%%rip), %%rcx\n\t"
                     "movq %%rsp, (%1)\n\t"
                     "movq %%rbp, 8(%1)\n\t"
                     "movq %%rcx, 16(%1)\n\t"
                     "movq (%2), %%rsp\n\t"
                     "movq 8(%2), %%rbp\n\t"
                     "jmpq *16(%2)\n"
                     "1:\n\t"
                     : "+a"(value), "+D"(save), "+S"(load)
                     :
                     : CONTEXT_CLOBBERS);
#else
    to->value = value;
    context_switch(from, to, false);
#endif
}

/* context_suspend - go on with @to; returns when somebody resumes @from, with what it was given. To
 * be the last thing a function does. */
static inline __attribute__((always_inline)) int
context_suspend(struct context *from, struct context *to, bool ends)
{
#ifdef CONTEXT_TAIL
    (void)ends;
    return context_machine_suspend(from, to);
#else
    context_switch(from, to, ends);
    return from->value;
#endif
}

#endif
