// SPDX-License-Identifier: GPL-2.0-only

//! What must be set up around the run of a networking program.
//!
//! C header: [`include/linux/filter.h`](srctree/include/linux/filter.h)

use crate::abstractions::bindings;
use core::{
    marker::PhantomData,
    mem::MaybeUninit, //
};
use kernel::types::NotThreadSafe;

/// Evidence that a networking BPF program may run here and now.
///
/// # Invariants
///
/// While a value of this type exists, bottom halves are off on this CPU and the task has a BPF
/// network context: helpers such as `bpf_redirect()` dereference it without a check.
pub(crate) struct RunContext<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl RunContext<'_> {
    /// Turns bottom halves off, and runs `f` with a BPF network context. Any context but hard
    /// interrupts. C: the frame of `run_lwt_bpf()`.
    #[inline(always)]
    pub(crate) fn enter<R>(f: impl FnOnce(&RunContext<'_>) -> R) -> R {
        // SAFETY: An FFI call with no requirements; undone below.
        unsafe { bindings::local_bh_disable() };
        // SAFETY: Bottom halves are off until after the call.
        let result = unsafe { Self::enter_bh_disabled(f) };
        // SAFETY: Pairs with the call above.
        unsafe { bindings::local_bh_enable() };
        result
    }

    /// Runs `f` with the task's BPF network context, or with one of its own if the task has none
    /// (a classful qdisc's filters are run without).
    ///
    /// # Safety
    ///
    /// Bottom halves are off during the call.
    #[inline(always)]
    pub(crate) unsafe fn enter_bh_disabled<R>(f: impl FnOnce(&RunContext<'_>) -> R) -> R {
        let mut frame = MaybeUninit::<bindings::bpf_net_context>::uninit();
        // SAFETY: `frame` stays in place until it is taken out of the task again, below. The
        // callee initialises what it must; readers of the rest look at the flags that it cleared.
        let set = unsafe { bindings::bpf_net_ctx_set(frame.as_mut_ptr()) };
        // INVARIANT: Bottom halves are off by the safety requirements of this function, and the
        // context was set by the line above or by one of our callers.
        let result = f(&RunContext(PhantomData, NotThreadSafe));
        // SAFETY: `set` is what the call above returned: null if the context is not ours to clear.
        unsafe { bindings::bpf_net_ctx_clear(set) };
        result
    }
}
