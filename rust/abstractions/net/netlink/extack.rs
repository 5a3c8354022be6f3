// SPDX-License-Identifier: GPL-2.0-only

//! Extended acknowledgements.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)

use super::attr::Attr;
use crate::abstractions::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::prelude::*;

/// The extack of a request, which takes an error message: `ip` and `tc` print it after `Error:`.
/// C: `netlink_ext_ack`.
///
/// # Invariants
///
/// The pointer is null (the client did not ask for extack messages) or valid for `'a`.
pub(crate) struct ExtAck<'a>(*mut bindings::netlink_ext_ack, PhantomData<&'a mut ()>);

impl ExtAck<'_> {
    /// # Safety
    ///
    /// `extack` is null, or valid and not accessed by anything else for `'a`.
    pub(in crate::abstractions) unsafe fn from_raw(extack: *mut bindings::netlink_ext_ack) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(extack, PhantomData)
    }

    /// Creates an extack for calls whose message must not reach userspace.
    pub(crate) fn ignored() -> Self {
        // INVARIANT: Null is allowed.
        Self(ptr::null_mut(), PhantomData)
    }

    /// Returns the raw pointer.
    pub(in crate::abstractions::net) fn as_ptr(&mut self) -> *mut bindings::netlink_ext_ack {
        self.0
    }

    /// Returns the extack to write to, or `None` if there is none.
    fn ack(&mut self) -> Option<&mut bindings::netlink_ext_ack> {
        // SAFETY: The pointer is null, or valid and exclusively borrowed, by the type invariant.
        unsafe { self.0.as_mut() }
    }

    /// Sets the extack message of a request that succeeds: `ip` and `tc` print it after `Warning:`.
    pub(crate) fn set_warning(&mut self, what: &'static CStr) {
        if let Some(ack) = self.ack() {
            ack._msg = what.as_char_ptr();
        }
    }

    /// Like [`Self::set_err`], but keeps an extack message that a callee has set.
    pub(crate) fn set_err_if_unset(&mut self, error: Error, why: &'static CStr) -> Error {
        match self.ack() {
            Some(ack) if ack._msg.is_null() => self.set_err(error, why),
            _ => error,
        }
    }

    /// Sets the extack message. Returns `error`, for `return Err(..)`.
    pub(crate) fn set_err(&mut self, error: Error, why: &'static CStr) -> Error {
        self.set_warning(why);
        error
    }

    /// Like [`Self::set_err`], and marks the attribute that caused the error. It must be part of
    /// the request.
    pub(crate) fn set_err_attr(
        &mut self,
        error: Error,
        attr: Attr<'_>,
        why: &'static CStr,
    ) -> Error {
        if let Some(ack) = self.ack() {
            ack.bad_attr = attr.as_ptr();
        }
        self.set_err(error, why)
    }
}
