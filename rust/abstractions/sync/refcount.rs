// SPDX-License-Identifier: GPL-2.0-only

//! What the kernel crate's [`Refcount`] does not have.
//!
//! C header: [`include/linux/refcount.h`](srctree/include/linux/refcount.h)

use kernel::sync::{
    atomic::{
        Relaxed,
        Release, //
    },
    Refcount, //
};

/// Gives a reference up, unless it is the last one. Returns whether it did. Any context.
/// C: `refcount_dec_not_one()`.
///
/// For counts whose last reference goes with a lock held: the others need not take that.
#[inline(always)]
pub(crate) fn dec_not_one(count: &Refcount) -> bool {
    let count = count.as_atomic();
    let mut old = count.load(Relaxed);
    loop {
        match old {
            1 => return false,
            // Saturated, or an underflow: left as it is.
            ..=0 => return true,
            _ => match count.cmpxchg(old, old - 1, Release) {
                Ok(_) => return true,
                Err(now) => old = now,
            },
        }
    }
}
