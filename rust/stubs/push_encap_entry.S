/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where ftrace goes in place of bpf_lwt_in_push_encap() and
 * bpf_lwt_xmit_push_encap(), before they have done anything: with their
 * arguments in the registers, and on the stack the way back into them, and above
 * it the way back to their caller.
 */

#include <linux/linkage.h>
#include <asm/unwind_hints.h>

/* From include/uapi/linux/bpf.h; kfunc.c checks it. */
#define BPF_LWT_ENCAP_IP 2

.macro PUSH_ENCAP_ENTRY way
SYM_FUNC_START(lwtcls_push_encap_\way\()_entry)
	cmpl	$BPF_LWT_ENCAP_IP, %esi
	jne	.Lkernel_\way
	/* The function itself is passed over: who called it gets our answer. */
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	jmp	lwtcls_push_encap_\way
.Lkernel_\way:
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(lwtcls_push_encap_\way\()_entry)
.endm

	.text
	PUSH_ENCAP_ENTRY in
	PUSH_ENCAP_ENTRY xmit
