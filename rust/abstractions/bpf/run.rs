// SPDX-License-Identifier: GPL-2.0-only

//! Running a program on a packet.
//!
//! C header: [`include/linux/filter.h`](srctree/include/linux/filter.h)

use super::stats_enabled;
use crate::abstractions::{
    bindings,
    net::skbuff::SkBuff, //
};
use core::ptr::NonNull;

/// C: `bpf_prog_run()`.
///
/// # Safety
///
/// `prog` is valid and takes an `sk_buff`. The task cannot migrate, and has what the program's type
/// needs.
#[inline(always)]
pub(super) unsafe fn run(prog: NonNull<bindings::bpf_prog>, skb: &mut SkBuff) -> u32 {
    // SAFETY: By the safety requirements of this function. A program's function is called with its
    // instructions, which the interpreter reads.
    unsafe {
        // For a debug kernel. The shim does nothing elsewhere, but may have to be called.
        #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
        bindings::cant_migrate();
        if stats_enabled() {
            run_counted(prog, skb)
        } else {
            bindings::bpf_dispatcher_nop_func(
                skb.as_ptr().cast(),
                (&raw const (*prog.as_ptr()).__bindgen_anon_2).cast(),
                (*prog.as_ptr()).bpf_func,
            )
        }
    }
}

/// Runs a program, and has the kernel count the run and its time. Out of line: the stack space for the
/// start time would cost every run.
///
/// # Safety
///
/// As for [`run`].
#[cold]
#[inline(never)]
unsafe fn run_counted(prog: NonNull<bindings::bpf_prog>, skb: &mut SkBuff) -> u32 {
    // SAFETY: By the safety requirements of this function.
    unsafe { bindings::bpf_prog_run(prog.as_ptr(), skb.as_ptr().cast()) }
}

/// Runs a program that uses the packet's control block, which is the IP layer's. A function of its
/// own, for the room to save it in would cost all programs something.
///
/// # Safety
///
/// As in [`Prog::run`].
#[cold]
#[inline(never)]
pub(super) unsafe fn run_save_cb(prog: NonNull<bindings::bpf_prog>, skb: &mut SkBuff) -> u32 {
    // SAFETY: By the safety requirements of this function.
    unsafe { bindings::__bpf_prog_run_save_cb(prog.as_ptr(), skb.as_ptr()) }
}
