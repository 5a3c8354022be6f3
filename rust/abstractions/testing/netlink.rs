// SPDX-License-Identifier: GPL-2.0-only

//! Netlink requests and extacks.

use crate::abstractions::{
    bindings,
    net::{
        netlink::{
            Attr,
            ExtAck, //
        },
        pkt_cls::Tca, //
    }, //
};
use core::mem::{
    align_of,
    size_of,
    zeroed, //
};
use kernel::prelude::*;

/// Attributes of a request, which need not be valid.
pub(crate) struct Request(KVec<u8>);

impl Request {
    /// Creates a request without attributes.
    pub(crate) fn new() -> Self {
        Self(KVec::new())
    }

    /// Adds an attribute.
    pub(crate) fn put(mut self, kind: usize, payload: &[u8]) -> Result<Self> {
        let len = size_of::<bindings::nlattr>() + payload.len();
        self.0
            .extend_from_slice(&(len as u16).to_ne_bytes(), GFP_KERNEL)?;
        self.0
            .extend_from_slice(&(kind as u16).to_ne_bytes(), GFP_KERNEL)?;
        self.0.extend_from_slice(payload, GFP_KERNEL)?;
        while self.0.len() % 4 != 0 {
            self.0.push(0, GFP_KERNEL)?;
        }
        Ok(self)
    }

    /// Adds an attribute with a number.
    pub(crate) fn put_u32(self, kind: usize, value: u32) -> Result<Self> {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute with nested attributes.
    pub(crate) fn nest(self, kind: usize, inner: &Self) -> Result<Self> {
        self.put(kind, &inner.0)
    }

    /// Adds bytes that are no attribute.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Result<Self> {
        self.0.extend_from_slice(bytes, GFP_KERNEL)?;
        Ok(self)
    }

    /// Returns the bytes of the request.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the first attribute.
    pub(crate) fn attr(&self) -> Attr<'_> {
        let attr = self.0.as_ptr();
        assert_eq!(attr.align_offset(align_of::<bindings::nlattr>()), 0);
        // SAFETY: `put` wrote an attribute with a valid length there, and the buffer is borrowed.
        match unsafe { Attr::from_raw(attr.cast()) } {
            Some(attr) => attr,
            None => unreachable!(),
        }
    }

    /// Calls `f` with the parsed attributes, as the core calls a classifier. All attributes must be
    /// complete.
    pub(crate) fn with_tca<R>(&self, f: impl for<'a> FnOnce(&'a Tca<'a>) -> R) -> R {
        let mut table = [core::ptr::null_mut(); bindings::__TCA_MAX as usize];
        let mut at = 0;
        while at < self.0.len() {
            let attr = self.0.as_ptr().wrapping_add(at).cast::<bindings::nlattr>();
            // SAFETY: `put` wrote an attribute there, and the buffer is borrowed.
            let header = unsafe { &*attr };
            table[usize::from(header.nla_type)] = attr.cast_mut();
            at += usize::from(header.nla_len).next_multiple_of(4);
        }
        // SAFETY: Each entry is null, or an attribute in the buffer, which is borrowed.
        f(unsafe { Tca::from_raw(table.as_mut_ptr()) })
    }
}

/// The memory for an extack.
pub(crate) struct ExtAckBuf(KBox<bindings::netlink_ext_ack>);

impl ExtAckBuf {
    /// Creates an empty extack.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: All zeroes are a valid empty extack.
        Ok(Self(KBox::new(unsafe { zeroed() }, GFP_KERNEL)?))
    }

    /// Returns the extack, to be passed to a callee.
    pub(crate) fn extack(&mut self) -> ExtAck<'_> {
        // SAFETY: The extack is valid, and exclusively borrowed as long as the result lives.
        unsafe { ExtAck::from_raw(&mut *self.0) }
    }

    /// Returns the extack message.
    pub(crate) fn message(&self) -> Option<&CStr> {
        // SAFETY: The message is not null. It is a static string, or is in the buffer of the
        // extack.
        (!self.0._msg.is_null()).then(|| unsafe { CStr::from_char_ptr(self.0._msg) })
    }

    /// Returns whether an attribute was marked as the cause.
    pub(crate) fn has_attr(&self) -> bool {
        !self.0.bad_attr.is_null()
    }
}
