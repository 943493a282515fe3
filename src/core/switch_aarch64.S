/* SPDX-License-Identifier: Apache-2.0 */
/* AAPCS64: x19-x30, sp and the low halves of v8-v15 survive a call. */
#if defined(__aarch64__)

    .text
    .globl context_stack_switch
    .hidden context_stack_switch
    .type context_stack_switch, %function
    .p2align 4
context_stack_switch:             /* x0: where to save sp, x1: the sp to load */
    .cfi_startproc
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .cfi_endproc
    .size context_stack_switch, .-context_stack_switch

    .globl context_machine_entry
    .hidden context_machine_entry
    .type context_machine_entry, %function
    .p2align 4
context_machine_entry:
    .cfi_startproc
    .cfi_undefined x30              /* the bottom of a backtrace */
    mov x0, x19
    blr x20
    brk #1
    .cfi_endproc
    .size context_machine_entry, .-context_machine_entry

#endif
    .section .note.GNU-stack, "", %progbits
