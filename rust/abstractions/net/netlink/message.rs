// SPDX-License-Identifier: GPL-2.0-only

//! Messages in the making.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use super::aligned;
use crate::abstractions::{
    bindings,
    success, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// A message that is being written.
///
/// # Invariants
///
/// The pointer is to a netlink message in the making, which is ours alone for `'a`.
pub(crate) struct Message<'a>(*mut bindings::sk_buff, PhantomData<&'a mut ()>);

impl Message<'_> {
    /// # Safety
    ///
    /// `skb` is a netlink message in the making that nobody else touches during `'a`.
    pub(in crate::abstractions) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(skb, PhantomData)
    }

    /// Adds an attribute. `EMSGSIZE` if there is no room; nothing is added then. C: `nla_put()`.
    pub(crate) fn put(&mut self, attr: u32, payload: &[u8]) -> Result {
        let len = c_int::try_from(payload.len()).map_err(|_| EMSGSIZE)?;
        // SAFETY: The message is valid by the type invariant, the payload by its reference.
        success(unsafe { bindings::nla_put(self.0, attr as c_int, len, payload.as_ptr().cast()) })
    }

    /// The C view of the message.
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

    /// Adds what holds numbers of 64 bits, which is aligned so, where that has to be, by an attribute
    /// `pad` in front of it. C: `nla_put_64bit()`.
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

    /// Adds an attribute that holds what `f` adds. If `f` fails, so does this, and the message is
    /// as it was. C: `nla_nest_start_noflag()` to `nla_nest_end()`.
    pub(crate) fn nest(&mut self, attr: u32, f: impl FnOnce(&mut Self) -> Result) -> Result {
        // SAFETY: The message is valid by the type invariant.
        let start = unsafe { bindings::nla_nest_start_noflag(self.0, attr as c_int) };
        if start.is_null() {
            return Err(EMSGSIZE);
        }
        let result = f(self);
        // SAFETY: `start` was begun above in this message.
        unsafe {
            match result {
                Ok(()) => {
                    bindings::nla_nest_end(self.0, start);
                }
                Err(_) => bindings::nla_nest_cancel(self.0, start),
            }
        }
        result
    }
}

/// A message in the making that nobody is sent.
///
/// # Invariants
///
/// The pointer is to a linear packet, which is ours.
pub(crate) struct MessageBuf(NonNull<bindings::sk_buff>);

impl MessageBuf {
    /// One with room for `size` bytes of attributes, and for none more. `ENOMEM`. Any context.
    pub(crate) fn new(size: u32) -> Result<Self> {
        // SAFETY: FFI calls. What the allocator gave on top is used up, in front.
        // INVARIANT: Allocated just now, and ours.
        unsafe {
            let skb =
                NonNull::new(bindings::alloc_skb(size, bindings::GFP_ATOMIC)).ok_or(ENOMEM)?;
            let room = (*skb.as_ptr()).end - size;
            bindings::skb_reserve(skb.as_ptr(), room as c_int);
            Ok(Self(skb))
        }
    }

    /// For writing.
    pub(crate) fn message(&mut self) -> Message<'_> {
        // SAFETY: Valid by the type invariant, and borrowed for as long.
        unsafe { Message::from_raw(self.0.as_ptr()) }
    }

    /// What was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: The data of a linear packet is `len` bytes long.
        unsafe {
            let skb = self.0.as_ptr();
            core::slice::from_raw_parts((*skb).data, (*skb).len as usize)
        }
    }
}

impl Drop for MessageBuf {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant. It is no packet that is lost.
        unsafe { bindings::consume_skb(self.0.as_ptr()) };
    }
}

/// The bytes that an attribute with so long a payload takes in a message. C: `nla_total_size()`.
pub(crate) const fn total_size(payload: usize) -> usize {
    aligned(size_of::<bindings::nlattr>() + payload)
}
