// SPDX-License-Identifier: GPL-2.0-only

//! Running programs on packets.
//!
//! C header: [`include/linux/filter.h`](srctree/include/linux/filter.h)

use super::stats_enabled;
use crate::abstractions::{
    bindings,
    net::skbuff::SkBuff, //
};
use core::ptr::NonNull;
use kernel::ptr::project;

/// Runs a program. C: `bpf_prog_run()`.
///
/// # Safety
///
/// `prog` is valid and takes an `sk_buff`. The task cannot migrate, and runs in the context that
/// the type of the program requires.
#[inline(always)]
pub(super) unsafe fn run(prog: NonNull<bindings::bpf_prog>, skb: &mut SkBuff) -> u32 {
    // Only has an effect in debug kernels. Elsewhere the shim does nothing, but may not be inlined.
    // SAFETY: An FFI call with no requirements.
    #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
    unsafe {
        bindings::cant_migrate();
    }
    if stats_enabled() {
        // SAFETY: By the safety requirements of this function.
        return unsafe { run_counted(prog, skb) };
    }
    let insns = project!(prog.as_ptr(), .__bindgen_anon_2);
    // SAFETY: The program is valid by the safety requirements of this function.
    let func = unsafe { (*prog.as_ptr()).bpf_func };
    // SAFETY: By the safety requirements of this function. `func` is called with the instructions
    // of its program, which the interpreter needs.
    unsafe { bindings::bpf_dispatcher_nop_func(skb.as_ptr().cast(), insns.cast(), func) }
}

/// Runs a program while BPF statistics are enabled: the kernel counts the run and its duration.
///
/// Not inlined, because the stack space for the start time would cost every run.
///
/// # Safety
///
/// Those of [`run`].
#[cold]
#[inline(never)]
unsafe fn run_counted(prog: NonNull<bindings::bpf_prog>, skb: &mut SkBuff) -> u32 {
    // SAFETY: By the safety requirements of this function.
    unsafe { bindings::bpf_prog_run(prog.as_ptr(), skb.as_ptr().cast()) }
}

/// Runs a program that uses the packet's control block, which is then saved and restored for the IP
/// layer.
///
/// Not inlined, because the stack space for the saved block would cost every run.
///
/// # Safety
///
/// Those of [`run`].
#[cold]
#[inline(never)]
pub(super) unsafe fn run_save_cb(prog: NonNull<bindings::bpf_prog>, skb: &mut SkBuff) -> u32 {
    // SAFETY: By the safety requirements of this function.
    unsafe { bindings::__bpf_prog_run_save_cb(prog.as_ptr(), skb.as_ptr()) }
}
