// SPDX-License-Identifier: GPL-2.0-only

//! The layout of a tunnel state.

use super::{
    links::Links,
    takeover::OURS,
    Family,
    Purpose,
    RouteOwner, //
};
use crate::abstractions::{
    bindings,
    net::namespace::Inum, //
};
use core::mem::{
    align_of,
    offset_of,
    size_of, //
};

/// Our part of a tunnel state, after the fields of the core.
pub(super) struct State<T> {
    pub(super) encap: T,
    // Separate fields: a `RouteOwner` has padding, with which a state with programs would not fit
    // into 128 bytes.
    pub(super) net: Inum,
    pub(super) family: Family,
    pub(super) purpose: Purpose,
    /// In the list of all states, unless `purpose` is [`Purpose::DelRoute`].
    pub(super) links: Links,
}

impl<T> State<T> {
    /// Returns the namespace and the address family of the route.
    pub(super) fn owner(&self) -> RouteOwner {
        RouteOwner {
            net: self.net,
            family: self.family,
        }
    }

    /// The offset in the tunnel state, which is that of `data`. Nothing else depends on the layout.
    pub(super) const OFFSET: usize = {
        let offset = offset_of!(bindings::lwtunnel_state, data);
        assert!(offset % align_of::<Self>() == 0);
        // More than 128 bytes would be allocated from the next larger slab cache.
        assert!(cfg!(not(CONFIG_64BIT)) || offset + size_of::<Self>() <= 128);
        assert!(align_of::<Self>() <= align_of::<bindings::lwtunnel_state>());
        offset
    };

    /// The offset of the links in the tunnel state.
    pub(super) const LINKS: usize = Self::OFFSET + offset_of!(Self, links);

    pub(super) fn of(lws: *mut bindings::lwtunnel_state) -> *mut Self {
        lws.wrapping_byte_add(Self::OFFSET).cast()
    }
}

/// Returns whether a tunnel state is ours, and not one of the built-in ops.
///
/// # Safety
///
/// `lws` is valid.
#[inline(always)]
pub(super) unsafe fn is_ours(lws: *const bindings::lwtunnel_state) -> bool {
    // SAFETY: By the safety requirements of this function. The field is not written concurrently.
    unsafe { (*lws).flags & OURS != 0 }
}
