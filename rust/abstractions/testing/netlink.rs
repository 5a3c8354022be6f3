// SPDX-License-Identifier: GPL-2.0-only

//! Requests and their answers.

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

/// Attributes as a client would write them, right or wrong.
pub(crate) struct Request(KVec<u8>);

impl Request {
    /// No attribute.
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

    /// Adds a number.
    pub(crate) fn put_u32(self, kind: usize, value: u32) -> Result<Self> {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute with attributes in it.
    pub(crate) fn nest(self, kind: usize, inner: &Self) -> Result<Self> {
        self.put(kind, &inner.0)
    }

    /// Adds bytes that are no attribute.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Result<Self> {
        self.0.extend_from_slice(bytes, GFP_KERNEL)?;
        Ok(self)
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first attribute.
    pub(crate) fn attr(&self) -> Attr<'_> {
        let attr = self.0.as_ptr();
        assert_eq!(attr.align_offset(align_of::<bindings::nlattr>()), 0);
        // SAFETY: `put` wrote an attribute there, with a length that fits, and it is borrowed.
        match unsafe { Attr::from_raw(attr.cast()) } {
            Some(attr) => attr,
            None => unreachable!(),
        }
    }

    /// Gives the attributes to `f` as the core gives a parsed request to a classifier. All of
    /// them must be complete.
    pub(crate) fn with_tca<R>(&self, f: impl for<'a> FnOnce(&'a Tca<'a>) -> R) -> R {
        let mut table = [core::ptr::null_mut(); bindings::__TCA_MAX as usize];
        let mut at = 0;
        while at < self.0.len() {
            let attr = self.0.as_ptr().wrapping_add(at).cast::<bindings::nlattr>();
            // SAFETY: `put` wrote an attribute there.
            let (len, kind) = unsafe { ((*attr).nla_len, (*attr).nla_type) };
            table[usize::from(kind)] = attr.cast_mut();
            at += usize::from(len).next_multiple_of(4);
        }
        // SAFETY: Each entry is null, or an attribute in the buffer, which is borrowed.
        f(unsafe { Tca::from_raw(table.as_mut_ptr()) })
    }
}

/// Takes what a refusal says.
pub(crate) struct ExtAckBuf(KBox<bindings::netlink_ext_ack>);

impl ExtAckBuf {
    /// An empty one.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: All zeroes are an empty one.
        Ok(Self(KBox::new(unsafe { zeroed() }, GFP_KERNEL)?))
    }

    /// For passing on.
    pub(crate) fn extack(&mut self) -> ExtAck<'_> {
        // SAFETY: Valid, and borrowed for as long.
        unsafe { ExtAck::from_raw(&mut *self.0) }
    }

    /// The sentence.
    pub(crate) fn message(&self) -> Option<&CStr> {
        // SAFETY: Null, or a static string, or the buffer inside.
        (!self.0._msg.is_null()).then(|| unsafe { CStr::from_char_ptr(self.0._msg) })
    }

    /// Whether an attribute was pointed at.
    pub(crate) fn has_attr(&self) -> bool {
        !self.0.bad_attr.is_null()
    }
}
