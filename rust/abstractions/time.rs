// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's time.
//!
//! C header: [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h)

use super::bindings;
use kernel::prelude::*;

/// A jiffy: one tick of the kernel's clock, of which there are `CONFIG_HZ` per second.
#[derive(Clone, Copy, PartialEq, Eq, Zeroable)]
pub(crate) struct Jiffy(c_ulong);

impl Jiffy {
    /// Returns the current jiffy. C: `jiffies`.
    #[inline(always)]
    pub(crate) fn now() -> Self {
        let jiffies = &raw const bindings::jiffies;
        // SAFETY: `jiffies` is a static of the kernel, which is read in one access.
        Self(unsafe { jiffies.read_volatile() })
    }
}
