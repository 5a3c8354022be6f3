// SPDX-License-Identifier: GPL-2.0-only

//! Direct calls from the entry of a kernel function.
//!
//! C header: [`include/linux/ftrace.h`](srctree/include/linux/ftrace.h)

use super::{
    bindings,
    compat::synchronize_rcu, //
};
use kernel::{
    error::to_result,
    pr_err_once,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// A function that ftrace calls at the entry of a kernel function, while the value lives.
///
/// # Invariants
///
/// `entry` is registered with `ops` while the value lives.
pub(super) struct DirectCall {
    ops: KBox<Opaque<bindings::ftrace_ops>>,
    entry: c_ulong,
    name: &'static CStr,
}

// SAFETY: The `ftrace_ops` belong to ftrace while they are registered, and ftrace does its own
// locking.
unsafe impl Send for DirectCall {}

// SAFETY: `unregister`, the only method that takes a shared reference, only reads the value. ftrace
// does its own locking for the `ftrace_ops`.
unsafe impl Sync for DirectCall {}

impl DirectCall {
    /// Makes ftrace call `entry` at the entry of the kernel function `name`.
    /// C: `register_ftrace_direct()`.
    ///
    /// Fails with `EBUSY` if the function is already redirected (live patch, BPF trampoline), or
    /// with `EINVAL` if ftrace cannot call from it. Process context.
    ///
    /// # Safety
    ///
    /// `name` is the exact name of one function: it has none of `*?[\`, and does not begin with `!`
    /// or a digit. `entry` follows the calling convention of direct calls, for a function of that
    /// type, and stays valid until the value is dropped. All callers of the kernel function call it
    /// inside an RCU read-side critical section.
    pub(super) unsafe fn new(name: &'static CStr, entry: unsafe extern "C" fn()) -> Result<Self> {
        // SAFETY: All zeroes are valid `ftrace_ops` that have not been used yet.
        let mut ops: bindings::ftrace_ops = unsafe { core::mem::zeroed() };
        // The sysctl `kernel.ftrace_enabled` is for tracers: where it can disable ftrace, it must
        // not disable this call.
        ops.flags = bindings::FTRACE_OPS_FL_PERMANENT as c_ulong;
        let ops = KBox::new(Opaque::new(ops), GFP_KERNEL)?;
        let entry = entry as usize as c_ulong;
        // SAFETY: The `ftrace_ops` are on the heap, and stay there until they are unregistered. The
        // callee writes to the name only if it ends in `*`, which it does not by the safety
        // requirements of this function.
        to_result(unsafe {
            bindings::ftrace_set_filter(
                ops.get(),
                name.as_char_ptr().cast_mut().cast(),
                name.to_bytes().len() as c_int,
                1,
            )
        })
        // SAFETY: The `ftrace_ops` are on the heap, and stay there until they are unregistered.
        // `entry` can be called from the function, by the safety requirements of this function.
        .and_then(|()| to_result(unsafe { bindings::register_ftrace_direct(ops.get(), entry) }))
        .inspect_err(|_| {
            // SAFETY: The `ftrace_ops` are not registered.
            unsafe { bindings::ftrace_free_filter(ops.get()) };
        })?;
        // INVARIANT: Registered above.
        Ok(Self { ops, entry, name })
    }

    /// Unregisters the call. On error, which is the errno of ftrace, the function still calls
    /// `entry`.
    fn unregister(&self) -> Result {
        // SAFETY: `entry` is registered with `ops` by the type invariant. The callee keeps the
        // filter, for another attempt.
        to_result(unsafe { bindings::unregister_ftrace_direct(self.ops.get(), self.entry, false) })
    }
}

impl Drop for DirectCall {
    /// Unregisters first, then waits for callers that are still in the entry, or in the function
    /// that it jumps to.
    fn drop(&mut self) {
        // Once ftrace has failed, it does not modify functions any more. The entry is module text,
        // so the module must stay as long as it may be called.
        while let Err(error) = self.unregister() {
            pr_err_once!(
                "ftrace does not detach from {}() (error {}): the module stays until it does\n",
                self.name,
                error.to_errno()
            );
            fsleep(Delta::from_secs(1));
        }
        // Callers are in an RCU read-side critical section by the safety requirements of `new`.
        synchronize_rcu();
        // SAFETY: The `ftrace_ops` are unregistered by the loop above.
        unsafe { bindings::ftrace_free_filter(self.ops.get()) };
    }
}
