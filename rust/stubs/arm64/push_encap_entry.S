/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct-call targets of ftrace at the entry of bpf_lwt_in_push_encap() and
 * bpf_lwt_xmit_push_encap(). On entry: arguments in registers; x30 returns
 * into the traced function, x9 to its caller. The traced function has not
 * signed its return address yet, nor pushed it to the shadow call stack.
 */

#include <linux/linkage.h>
#include <asm/assembler.h>

/* From include/uapi/linux/bpf.h; push_encap/helper.rs checks it. */
#define BPF_LWT_ENCAP_IP 2

.macro PUSH_ENCAP_ENTRY way
/* Reached by "br x17" from ftrace_caller or by "bl": begins with "bti c". */
SYM_FUNC_START(lwtcls_push_encap_\way\()_entry)
	cmp	w1, #BPF_LWT_ENCAP_IP
	b.ne	.Lkernel_\way
	/* Skip the traced function: return to its caller. */
	mov	x30, x9
	b	lwtcls_push_encap_\way
.Lkernel_\way:
	/* As ftrace_caller returns: to the traced function, which finds x30 as it was. */
	mov	x10, x30
	mov	x30, x9
	ret	x10
SYM_FUNC_END(lwtcls_push_encap_\way\()_entry)
/* A probe of its return would replace the return address that it drops. */
NOKPROBE(lwtcls_push_encap_\way\()_entry)
.endm

	.text
	PUSH_ENCAP_ENTRY in
	PUSH_ENCAP_ENTRY xmit
