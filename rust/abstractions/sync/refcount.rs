// SPDX-License-Identifier: GPL-2.0-only

//! Operations that the kernel crate's [`Refcount`] lacks.
//!
//! C header: [`include/linux/refcount.h`](srctree/include/linux/refcount.h)

use kernel::sync::{
    atomic::{
        Relaxed,
        Release, //
    },
    Refcount, //
};

/// Drops a reference unless it is the last one. Returns whether it was dropped. Any context.
/// C: `refcount_dec_not_one()`.
///
/// The fast path for objects whose last reference is dropped under a lock: all other drops skip the
/// lock.
#[inline(always)]
pub(crate) fn dec_not_one(count: &Refcount) -> bool {
    let count = count.as_atomic();
    let mut old = count.load(Relaxed);
    loop {
        match old {
            1 => return false,
            // Saturated, or an underflow: leave the count as it is.
            ..=0 => return true,
            _ => match count.cmpxchg(old, old - 1, Release) {
                Ok(_) => return true,
                Err(now) => old = now,
            },
        }
    }
}
