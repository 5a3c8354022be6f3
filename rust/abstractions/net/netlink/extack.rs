// SPDX-License-Identifier: GPL-2.0-only

//! What a refused request is answered with besides an errno.
//!
//! C header: [`include/linux/netlink.h`](srctree/include/linux/netlink.h)

use super::attr::Attr;
use crate::abstractions::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::prelude::*;

/// Where a refusal says why: what `ip` and `tc` print after `Error:`. C: `netlink_ext_ack`.
///
/// # Invariants
///
/// The pointer is null (the client did not ask for extack messages) or valid for `'a`.
pub(crate) struct ExtAck<'a>(*mut bindings::netlink_ext_ack, PhantomData<&'a mut ()>);

impl ExtAck<'_> {
    /// # Safety
    ///
    /// `extack` is null or valid for `'a`, and nobody else uses it meanwhile.
    pub(in crate::abstractions) unsafe fn from_raw(extack: *mut bindings::netlink_ext_ack) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(extack, PhantomData)
    }

    /// For calls whose extack message must not reach the user.
    pub(crate) fn ignored() -> Self {
        // INVARIANT: Null is allowed.
        Self(ptr::null_mut(), PhantomData)
    }

    /// The C view.
    pub(in crate::abstractions::net) fn as_ptr(&mut self) -> *mut bindings::netlink_ext_ack {
        self.0
    }

    /// What there is to write to. `None` if the client cannot read it.
    fn ack(&mut self) -> Option<&mut bindings::netlink_ext_ack> {
        // SAFETY: Null, or valid and lent to us, by the type invariant.
        unsafe { self.0.as_mut() }
    }

    /// Sets the extack message of a request that succeeds: `tc` and `ip` print it after `Warning:`.
    pub(crate) fn warn(&mut self, what: &'static CStr) {
        if let Some(ack) = self.ack() {
            ack._msg = what.as_char_ptr();
        }
    }

    /// As [`Self::refuse`], but keeps an extack message that a callee has set.
    pub(crate) fn refuse_unless_said(&mut self, error: Error, why: &'static CStr) -> Error {
        match self.ack() {
            Some(ack) if ack._msg.is_null() => self.refuse(error, why),
            _ => error,
        }
    }

    /// Sets the extack message, and returns `error` for a `return Err(..)`.
    pub(crate) fn refuse(&mut self, error: Error, why: &'static CStr) -> Error {
        self.warn(why);
        error
    }

    /// As [`Self::refuse`], and points at the attribute that is to blame, which lies in the request.
    pub(crate) fn refuse_attr(
        &mut self,
        error: Error,
        attr: Attr<'_>,
        why: &'static CStr,
    ) -> Error {
        if let Some(ack) = self.ack() {
            ack.bad_attr = attr.as_ptr();
        }
        self.refuse(error, why)
    }
}
