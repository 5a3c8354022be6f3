/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct-call targets of ftrace at the entry of bpf_lwt_in_push_encap() and
 * bpf_lwt_xmit_push_encap(). On entry: arguments in registers; (%rsp) returns
 * into the traced function, 8(%rsp) to its caller.
 */

#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

/* From include/uapi/linux/bpf.h; push_encap/helper.rs checks it. */
#define BPF_LWT_ENCAP_IP 2

.macro PUSH_ENCAP_ENTRY way
SYM_FUNC_START(lwtcls_push_encap_\way\()_entry)
	/* Reached by a direct call or a return, never by an indirect branch. */
	ANNOTATE_NOENDBR
	cmpl	$BPF_LWT_ENCAP_IP, %esi
	jne	.Lkernel_\way
	/*
	 * Skip the traced function. The return to its caller matches the call
	 * that the caller made and accounted for. The call by ftrace is not
	 * accounted, because the return that would match it is skipped.
	 */
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	jmp	lwtcls_push_encap_\way
.Lkernel_\way:
	UNWIND_HINT_FUNC
	/* Account the call by ftrace: the return below matches it. */
	CALL_DEPTH_ACCOUNT
	RET
SYM_FUNC_END(lwtcls_push_encap_\way\()_entry)
/* A probe of its return would replace the return address that it drops. */
_ASM_NOKPROBE(lwtcls_push_encap_\way\()_entry)
.endm

	.text
	PUSH_ENCAP_ENTRY in
	PUSH_ENCAP_ENTRY xmit
