// SPDX-License-Identifier: GPL-2.0-only

//! Netlink messages under construction.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use super::aligned;
use crate::abstractions::{
    bindings,
    net::skbuff::SkBuff,
    success, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// A message under construction.
///
/// # Invariants
///
/// The pointer is to a netlink message under construction, which is exclusively borrowed for `'a`.
pub(crate) struct Message<'a>(*mut bindings::sk_buff, PhantomData<&'a mut ()>);

impl Message<'_> {
    /// # Safety
    ///
    /// `skb` is a netlink message under construction, which nothing else accesses during `'a`.
    pub(in crate::abstractions) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(skb, PhantomData)
    }

    /// Adds an attribute. C: `nla_put()`.
    ///
    /// Fails with `EMSGSIZE` if it does not fit. The message is then unchanged.
    pub(crate) fn put(&mut self, attr: u32, payload: &[u8]) -> Result {
        let len = c_int::try_from(payload.len()).map_err(|_| EMSGSIZE)?;
        // SAFETY: The message is valid by the type invariant, the payload by its reference.
        success(unsafe { bindings::nla_put(self.0, attr as c_int, len, payload.as_ptr().cast()) })
    }

    /// Returns the raw pointer.
    pub(in crate::abstractions::net) fn as_ptr(&mut self) -> *mut bindings::sk_buff {
        self.0
    }

    /// Adds a number in host byte order. C: `nla_put_u16()`.
    pub(crate) fn put_u16(&mut self, attr: u32, value: u16) -> Result {
        self.put(attr, &value.to_ne_bytes())
    }

    /// Adds a number in host byte order. C: `nla_put_u32()`.
    #[inline(always)]
    pub(crate) fn put_u32(&mut self, attr: u32, value: u32) -> Result {
        self.put(attr, &value.to_ne_bytes())
    }

    /// Adds an attribute that contains 64-bit numbers. Where their alignment requires it, an
    /// attribute `pad` is inserted before it. C: `nla_put_64bit()`.
    pub(crate) fn put_64bit(&mut self, attr: u32, payload: &[u8], pad: u32) -> Result {
        let len = c_int::try_from(payload.len()).map_err(|_| EMSGSIZE)?;
        // SAFETY: The message is valid by the type invariant, the payload by its reference.
        success(unsafe {
            bindings::nla_put_64bit(
                self.0,
                attr as c_int,
                len,
                payload.as_ptr().cast(),
                pad as c_int,
            )
        })
    }

    /// Adds a string with its NUL. C: `nla_put_string()`.
    pub(crate) fn put_str(&mut self, attr: u32, value: &CStr) -> Result {
        self.put(attr, value.to_bytes_with_nul())
    }

    /// Adds an attribute that contains the attributes that `f` adds.
    /// C: `nla_nest_start_noflag()`, `nla_nest_end()`.
    ///
    /// If `f` fails, returns its error, and leaves the message unchanged.
    pub(crate) fn nest(&mut self, attr: u32, f: impl FnOnce(&mut Self) -> Result) -> Result {
        // SAFETY: The message is valid by the type invariant.
        let start = unsafe { bindings::nla_nest_start_noflag(self.0, attr as c_int) };
        if start.is_null() {
            return Err(EMSGSIZE);
        }
        let result = f(self);
        if result.is_ok() {
            // SAFETY: `start` is an open nested attribute of this message.
            unsafe { bindings::nla_nest_end(self.0, start) };
        } else {
            // SAFETY: `start` is an open nested attribute of this message.
            unsafe { bindings::nla_nest_cancel(self.0, start) };
        }
        result
    }
}

/// A message that is only read back, and never sent.
///
/// # Invariants
///
/// The pointer is to a linear skb, which the value owns.
pub(crate) struct MessageBuf(NonNull<bindings::sk_buff>);

impl MessageBuf {
    /// Allocates a message with space for exactly `size` bytes of attributes. Fails with `ENOMEM`.
    /// Any context.
    pub(crate) fn new(size: u32) -> Result<Self> {
        // SAFETY: An FFI call with no requirements.
        let skb = unsafe { bindings::alloc_skb(size, bindings::GFP_ATOMIC) };
        // INVARIANT: Allocated here, and owned.
        let this = Self(NonNull::new(skb).ok_or(ENOMEM)?);
        // If the allocator returned a larger buffer, the excess becomes headroom.
        // SAFETY: The skb was allocated above.
        let room = unsafe { (*skb).end } - size;
        // SAFETY: The skb is empty, and has more than `room` bytes.
        unsafe { bindings::skb_reserve(skb, room as c_int) };
        Ok(this)
    }

    /// Returns the message for writing.
    pub(crate) fn message(&mut self) -> Message<'_> {
        // SAFETY: The skb is valid by the type invariant, and `self` is borrowed for as long as the
        // result lives.
        unsafe { Message::from_raw(self.0.as_ptr()) }
    }

    /// Returns the attributes that were written.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: The skb is valid by the type invariant.
        let skb = unsafe { self.0.cast::<SkBuff>().as_ref() };
        // SAFETY: The data of a linear skb is `len` bytes long.
        unsafe { core::slice::from_raw_parts(skb.data(), skb.len() as usize) }
    }
}

impl Drop for MessageBuf {
    fn drop(&mut self) {
        // SAFETY: The value owns the skb by the type invariant. `consume_skb()`, because this is no
        // packet drop.
        unsafe { bindings::consume_skb(self.0.as_ptr()) };
    }
}

/// Returns the size that an attribute with that payload takes in a message. C: `nla_total_size()`.
pub(crate) const fn total_size(payload: usize) -> usize {
    aligned(size_of::<bindings::nlattr>() + payload)
}
