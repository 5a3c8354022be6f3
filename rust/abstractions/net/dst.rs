// SPDX-License-Identifier: GPL-2.0-only

//! Routing decisions.
//!
//! C header: [`include/net/dst.h`](srctree/include/net/dst.h)

use super::netdevice::NetDevice;
use crate::abstractions::{
    bindings,
    success, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// The route that brought a packet to a hook, for as long as the hook runs.
///
/// # Invariants
///
/// The pointer is to a `dst_entry` that stays valid for `'a`, even if the packet leaves it.
#[derive(Clone, Copy)]
pub(crate) struct Dst<'a>(*mut bindings::dst_entry, PhantomData<&'a ()>);

impl<'a> Dst<'a> {
    /// # Safety
    ///
    /// `dst` is valid, has a device, and neither is freed during `'a`, which lies in an RCU read
    /// side.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(dst, PhantomData)
    }

    /// The C view of the route.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) fn as_ptr(self) -> *mut bindings::dst_entry {
        self.0
    }

    /// The device that the route leads out of, or that it came in by.
    #[inline(always)]
    pub(crate) fn dev(self) -> &'a NetDevice {
        // SAFETY: The route is valid by the type invariant, and has a device that is as well.
        unsafe { NetDevice::from_raw((*self.0).__bindgen_anon_1.dev) }
    }

    /// What a lookup that ended in this route says about it: a route may be one that leads nowhere.
    #[inline(always)]
    pub(crate) fn error(self) -> Result {
        // SAFETY: The route is valid by the type invariant.
        success(unsafe { (*self.0).error.into() })
    }
}

/// A counted reference to a route. Its drop gives it back.
///
/// # Invariants
///
/// The pointer is to a valid `dst_entry`, of which one reference is ours.
pub(crate) struct DstRef(NonNull<bindings::dst_entry>);

impl DstRef {
    /// # Safety
    ///
    /// `dst` is valid, and the caller gives away one of its references.
    #[inline(always)]
    pub(super) unsafe fn from_raw(dst: *mut bindings::dst_entry) -> Self {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: A valid route is not at address 0.
        Self(unsafe { NonNull::new_unchecked(dst) })
    }

    /// The route, as long as it is referred to.
    #[inline(always)]
    pub(crate) fn dst(&self) -> Dst<'_> {
        // SAFETY: Valid by the type invariant. A route holds its device.
        unsafe { Dst::from_raw(self.0.as_ptr()) }
    }

    /// Gives the reference away.
    #[inline(always)]
    pub(super) fn into_raw(self) -> *mut bindings::dst_entry {
        core::mem::ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for DstRef {
    fn drop(&mut self) {
        // SAFETY: One reference is ours by the type invariant, and this is its end.
        unsafe { bindings::dst_release(self.0.as_ptr()) };
    }
}
