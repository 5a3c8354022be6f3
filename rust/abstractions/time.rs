// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's time.
//!
//! C header: [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h)

use super::bindings;
use kernel::prelude::*;

/// A tick of the kernel's clock, `CONFIG_HZ` of which are a second.
#[derive(Clone, Copy, PartialEq, Eq, Zeroable)]
pub(crate) struct Tick(c_ulong);

impl Tick {
    /// The one of now. C: `jiffies`.
    #[inline(always)]
    pub(crate) fn now() -> Self {
        // SAFETY: The kernel's variable, which is read in one piece.
        Self(unsafe { (&raw const bindings::jiffies).read_volatile() })
    }
}
