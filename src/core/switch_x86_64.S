/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fiber's side of a switch, and where a new stack begins (core/context.c put arg and fn on it).
 * The scheduler's side is inline, in core/context.h, which also has the offsets.
 * System V ABI: rbx, rbp, r12-r15 survive a call; everything else is the compiler's to save.
 */
#if defined(__x86_64__)

    .text
    .globl context_machine_suspend
    .hidden context_machine_suspend
    .type context_machine_suspend, @function
    .p2align 4
context_machine_suspend:            /* rdi: the context to save, rsi: the one to go on with */
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    leaq context_machine_resumed(%rip), %rax
    movq %rsp, (%rdi)
    movq %rbp, 8(%rdi)
    movq %rax, 16(%rdi)
    movq (%rsi), %rsp
    movq 8(%rsi), %rbp
    jmpq *16(%rsi)
context_machine_resumed:            /* eax: what to return */
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmpq *%rcx
    .cfi_endproc
    .size context_machine_suspend, .-context_machine_suspend

    .globl context_machine_entry
    .hidden context_machine_entry
    .type context_machine_entry, @function
    .p2align 4
context_machine_entry:
    .cfi_startproc
    .cfi_undefined rip              /* the bottom of a backtrace */
    popq %rdi
    popq %rax
    xorl %ebp, %ebp
    call *%rax
    ud2
    .cfi_endproc
    .size context_machine_entry, .-context_machine_entry

#endif
    .section .note.GNU-stack, "", %progbits
