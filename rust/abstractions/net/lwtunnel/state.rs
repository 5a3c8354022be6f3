// SPDX-License-Identifier: GPL-2.0-only

//! The layout of a tunnel state.

use super::{
    links::Links,
    takeover::OURS,
    Family,
    Owner,
    Purpose, //
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

/// What a tunnel state of ours has behind what the core has in it.
pub(super) struct State<T> {
    pub(super) encap: T,
    // Separate fields: an `Owner` would be padded, and a state with programs would not fit into 128
    // bytes.
    pub(super) net: Inum,
    pub(super) family: Family,
    pub(super) purpose: Purpose,
    /// Among all of them, unless it was only made to find another one.
    pub(super) links: Links,
}

impl<T> State<T> {
    /// Whose it is.
    pub(super) fn owner(&self) -> Owner {
        Owner {
            net: self.net,
            family: self.family,
        }
    }

    /// The one place that knows the layout: it lies at `data`.
    pub(super) const OFFSET: usize = {
        let offset = offset_of!(bindings::lwtunnel_state, data);
        assert!(offset % align_of::<Self>() == 0);
        // More would take the next size that there is.
        assert!(cfg!(not(CONFIG_64BIT)) || offset + size_of::<Self>() <= 128);
        assert!(align_of::<Self>() <= align_of::<bindings::lwtunnel_state>());
        offset
    };

    /// Where the links are, from the beginning of the tunnel state.
    pub(super) const LINKS: usize = Self::OFFSET + offset_of!(Self, links);

    pub(super) fn of(lws: *mut bindings::lwtunnel_state) -> *mut Self {
        lws.wrapping_byte_add(Self::OFFSET).cast()
    }
}

/// Whether a tunnel state is one of ours, and none of whom the slot was taken over from.
///
/// # Safety
///
/// `lws` is valid.
#[inline(always)]
pub(super) unsafe fn is_ours(lws: *const bindings::lwtunnel_state) -> bool {
    // SAFETY: By the safety requirements of this function. Nobody writes what is read.
    unsafe { (*lws).flags & OURS != 0 }
}
