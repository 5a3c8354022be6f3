// SPDX-License-Identifier: GPL-2.0-only

//! Routing decisions.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

use crate::abstractions::bindings;
use core::marker::PhantomData;

/// The route that brought a packet to a hook, for as long as the hook runs.
///
/// # Invariants
///
/// The pointer is to a `dst_entry` that stays valid for `'a`, even if the packet leaves it.
#[derive(Clone, Copy)]
pub(crate) struct Dst<'a>(*mut bindings::dst_entry, PhantomData<&'a ()>);

impl Dst<'_> {
    /// # Safety
    ///
    /// `dst` is valid, has a device, and is not freed during `'a`.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(dst, PhantomData)
    }

    /// The bytes that the route's device wants in front of the network header, link header and
    /// alignment included. C: `LL_RESERVED_SPACE(dst->dev)`.
    #[inline(always)]
    pub(crate) fn ll_reserved_space(self) -> u32 {
        // SAFETY: The route is valid by the type invariant, and holds its device.
        unsafe { bindings::LL_RESERVED_SPACE((*self.0).__bindgen_anon_1.dev) }
    }
}
