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

/// A function that is called at the entry of a kernel function, while the value lives.
///
/// # Invariants
///
/// `entry` is registered with `ops` while the value lives.
pub(super) struct DirectCall {
    ops: KBox<Opaque<bindings::ftrace_ops>>,
    entry: c_ulong,
    name: &'static CStr,
}

// SAFETY: The table is ftrace's, which has locks of its own for it.
unsafe impl Send for DirectCall {}

// SAFETY: `unregister`, the one method that takes a shared reference, only reads the value; ftrace has
// locks of its own for the table.
unsafe impl Sync for DirectCall {}

impl DirectCall {
    /// Has `entry` called at the entry of the kernel function `name`. `EBUSY` if somebody else changes
    /// where that function goes; `EINVAL` if ftrace cannot call from it. Process context.
    /// C: `register_ftrace_direct()`.
    ///
    /// # Safety
    ///
    /// `entry` follows the convention for direct calls, for a function of that type. Whoever calls the
    /// kernel function does so inside an RCU read-side critical section.
    pub(super) unsafe fn new(name: &'static CStr, entry: unsafe extern "C" fn()) -> Result<Self> {
        // SAFETY: All zeroes are a table that was not used yet.
        let mut ops: bindings::ftrace_ops = unsafe { core::mem::zeroed() };
        // `kernel.ftrace_enabled` is for tracers: it must not turn this off.
        ops.flags = bindings::FTRACE_OPS_FL_PERMANENT as c_ulong;
        let ops = KBox::new(Opaque::new(ops), GFP_KERNEL)?;
        let entry = entry as usize as c_ulong;
        // SAFETY: The table stays where it is, on the heap, until it is unregistered. The name is only
        // read.
        to_result(unsafe {
            bindings::ftrace_set_filter(
                ops.get(),
                name.as_char_ptr().cast_mut().cast(),
                name.to_bytes().len() as c_int,
                1,
            )
        })
        // SAFETY: The table stays where it is, and the entry can be called from the function by the
        // safety requirements.
        .and_then(|()| to_result(unsafe { bindings::register_ftrace_direct(ops.get(), entry) }))
        .inspect_err(|_| {
            // SAFETY: The table is not registered.
            unsafe { bindings::ftrace_free_filter(ops.get()) };
        })?;
        // INVARIANT: Registered above.
        Ok(Self { ops, entry, name })
    }

    /// The errno is that of ftrace; the function still calls the entry then.
    fn unregister(&self) -> Result {
        // SAFETY: Registered, by the type invariant. The filter stays, for another try.
        to_result(unsafe { bindings::unregister_ftrace_direct(self.ops.get(), self.entry, false) })
    }
}

impl Drop for DirectCall {
    /// Unregisters first, then waits for CPUs that are still in the entry, or in what it has called.
    fn drop(&mut self) {
        // ftrace, once it has failed, leaves functions as they are. The entry is module text, so the
        // module must stay until the last call of it.
        while let Err(error) = self.unregister() {
            pr_err_once!(
                "ftrace does not detach from {}() (error {}): the module stays until it does\n",
                self.name,
                error.to_errno()
            );
            fsleep(Delta::from_secs(1));
        }
        // Callers are in a read-side critical section by the safety requirements of `new`.
        synchronize_rcu();
        // SAFETY: Not registered any more, by the loop above.
        unsafe { bindings::ftrace_free_filter(self.ops.get()) };
    }
}
