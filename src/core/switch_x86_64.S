/* SPDX-License-Identifier: Apache-2.0 */
/* System V ABI: rbx, rbp, r12-r15 survive a call; everything else is the compiler's to save. */
#if defined(__x86_64__)

    .text
    .globl context_machine_switch
    .hidden context_machine_switch
    .type context_machine_switch, @function
    .p2align 4
context_machine_switch:             /* rdi: where to save sp, rsi: the sp to load */
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size context_machine_switch, .-context_machine_switch

    .globl context_machine_entry
    .hidden context_machine_entry
    .type context_machine_entry, @function
    .p2align 4
context_machine_entry:
    .cfi_startproc
    .cfi_undefined rip              /* the bottom of a backtrace */
    movq %r12, %rdi
    subq $8, %rsp
    call *%r13
    ud2
    .cfi_endproc
    .size context_machine_entry, .-context_machine_entry

#endif
    .section .note.GNU-stack, "", %progbits
