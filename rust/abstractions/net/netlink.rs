// SPDX-License-Identifier: GPL-2.0-only

//! Netlink attributes, read and written, and the extack message that goes back to the user.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use crate::abstractions::{
    bindings,
    success, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr,
    ptr::NonNull, //
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
    pub(super) fn as_ptr(&mut self) -> *mut bindings::netlink_ext_ack {
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
            ack.bad_attr = attr.0.as_ptr();
        }
        self.refuse(error, why)
    }
}

/// Where the next attribute may begin. C: `NLA_ALIGNTO`.
const ALIGN: usize = 4;

/// A length with its padding. C: `NLA_ALIGN()`.
const fn aligned(len: usize) -> usize {
    (len + ALIGN - 1) & !(ALIGN - 1)
}

/// An attribute of a request.
///
/// # Invariants
///
/// The pointer is to an attribute whose whole length lies in the request, which lives for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Attr<'a>(NonNull<bindings::nlattr>, PhantomData<&'a ()>);

impl<'a> Attr<'a> {
    /// # Safety
    ///
    /// `attr` is null or an attribute whose length was checked against its message, and which is
    /// neither changed nor freed during `'a`.
    pub(in crate::abstractions) unsafe fn from_raw(attr: *const bindings::nlattr) -> Option<Self> {
        // INVARIANT: By the safety requirements of this function.
        NonNull::new(attr.cast_mut()).map(|attr| Self(attr, PhantomData))
    }

    /// The C view.
    pub(super) fn as_ptr(self) -> *mut bindings::nlattr {
        self.0.as_ptr()
    }

    /// What the attribute carries. C: `nla_data()`, `nla_len()`.
    pub(crate) fn payload(self) -> &'a [u8] {
        // SAFETY: The attribute is valid by the type invariant. So many bytes follow its header, and
        // live for `'a`.
        unsafe {
            let len = bindings::nla_len(self.0.as_ptr());
            core::slice::from_raw_parts(
                bindings::nla_data(self.0.as_ptr()).cast::<u8>(),
                usize::try_from(len).unwrap_or(0),
            )
        }
    }

    /// What `f` makes of the payload, if that has exactly `N` bytes. `ERANGE` if it has fewer,
    /// `EINVAL` if it has more.
    #[inline(always)]
    fn exactly<const N: usize, R>(
        self,
        f: impl FnOnce([u8; N]) -> R,
        extack: &mut ExtAck<'_>,
        why: &'static CStr,
    ) -> Result<R> {
        let payload = self.payload();
        match payload.try_into() {
            Ok(bytes) => Ok(f(bytes)),
            Err(_) => {
                let error = if payload.len() < N { ERANGE } else { EINVAL };
                Err(extack.refuse_attr(error, self, why))
            }
        }
    }

    /// A number in host byte order. `ERANGE` if it has fewer than two bytes, `EINVAL` if it has more.
    pub(crate) fn u16(self, extack: &mut ExtAck<'_>) -> Result<u16> {
        let why = c"the attribute must be 2 bytes long";
        self.exactly(u16::from_ne_bytes, extack, why)
    }

    /// A number in host byte order. `ERANGE` if it has fewer than four bytes, `EINVAL` if it has more.
    pub(crate) fn u32(self, extack: &mut ExtAck<'_>) -> Result<u32> {
        let why = c"the attribute must be 4 bytes long";
        self.exactly(u32::from_ne_bytes, extack, why)
    }

    /// A NUL-terminated string of at most `max` bytes. Zeros may follow its NUL, up to `max + 1` bytes
    /// in all: some clients send a buffer of fixed size.
    ///
    /// `EINVAL` if no NUL is among the first `max + 1` bytes, or if anything but zeros follows it;
    /// `ERANGE` if the payload is longer than that. `too_long` is the extack message for a string of
    /// more than `max` bytes. C: `NLA_NUL_STRING`.
    pub(crate) fn str(
        self,
        max: usize,
        too_long: &'static CStr,
        extack: &mut ExtAck<'_>,
    ) -> Result<&'a CStr> {
        let payload = self.payload();
        match CStr::from_bytes_with_nul(payload) {
            Ok(string) if string.to_bytes().len() <= max => Ok(string),
            _ => self.str_in_buffer(max, too_long, extack),
        }
    }

    /// [`Self::str`], if the payload is not just a string of that length.
    #[cold]
    fn str_in_buffer(
        self,
        max: usize,
        too_long: &'static CStr,
        extack: &mut ExtAck<'_>,
    ) -> Result<&'a CStr> {
        let payload = self.payload();
        let string = payload.get(..=max).unwrap_or(payload);
        let Ok(string) = CStr::from_bytes_until_nul(string) else {
            let why = if payload.len() > max {
                too_long
            } else {
                c"the string is not NUL-terminated"
            };
            return Err(extack.refuse_attr(EINVAL, self, why));
        };
        let (_, rest) = payload.split_at(string.to_bytes_with_nul().len());
        // As in the C, the last byte does not count if it is a NUL.
        if payload.strip_suffix(&[0]).unwrap_or(payload).len() > max {
            return Err(extack.refuse_attr(
                ERANGE,
                self,
                c"the attribute is longer than its longest string",
            ));
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(extack.refuse_attr(
                EINVAL,
                self,
                c"the string is followed by other bytes than zeros",
            ));
        }
        Ok(string)
    }

    /// The attributes inside this one, of types 1 to `N - 1`.
    ///
    /// `EINVAL` for a type that is 0, at least `N`, or there twice, and for bytes at the end that
    /// are no attribute. C: `__nla_parse()`.
    #[inline(always)]
    pub(crate) fn nested<const N: usize>(self, extack: &mut ExtAck<'_>) -> Result<Attrs<'a, N>> {
        let mut table = MaybeUninit::<[*mut bindings::nlattr; N]>::uninit();
        // SAFETY: The table has a place for each type up to the maximum that is named. Head and
        // length are those of the payload, which is valid by the type invariant.
        success(unsafe {
            bindings::__nla_parse(
                table.as_mut_ptr().cast(),
                const { N as c_int - 1 },
                bindings::nla_data(self.0.as_ptr()).cast(),
                bindings::nla_len(self.0.as_ptr()),
                ptr::null(),
                bindings::netlink_validation_NL_VALIDATE_TRAILING
                    | bindings::netlink_validation_NL_VALIDATE_MAXTYPE,
                extack.0,
            )
        })?;
        // SAFETY: The callee succeeded, and so has cleared the table first.
        let table = unsafe { table.assume_init() };
        // Of those of one type the table has the last. All of them fill the payload, so what the
        // table has does, if none is missing.
        let filled = table.iter().filter(|attr| !attr.is_null()).map(|attr| {
            // SAFETY: The callee checked that it lies in the payload.
            aligned(usize::from(unsafe { (**attr).nla_len }))
        });
        if filled.sum::<usize>() != aligned(self.payload().len()) {
            return Err(extack.refuse_attr(EINVAL, self, c"duplicate attribute"));
        }
        // INVARIANT: The callee checked that each attribute that it found lies in the payload.
        Ok(Attrs {
            table,
            _request: PhantomData,
        })
    }
}

/// The attributes of one level of a request, by type.
///
/// # Invariants
///
/// Each entry is null or meets the invariant of [`Attr`] for `'a`.
#[repr(transparent)]
pub(crate) struct Attrs<'a, const N: usize> {
    table: [*mut bindings::nlattr; N],
    _request: PhantomData<&'a ()>,
}

impl<'a, const N: usize> Attrs<'a, N> {
    /// Reads a table that the kernel parsed.
    ///
    /// # Safety
    ///
    /// `table` has `N` entries; each is null, or an attribute that was checked and lives for `'a`.
    pub(in crate::abstractions) unsafe fn from_raw(table: *mut *mut bindings::nlattr) -> &'a Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &*table.cast() }
    }

    /// The table, as the kernel's own parsers take it. It must not be written to.
    pub(super) fn as_ptr(&self) -> *mut *mut bindings::nlattr {
        self.table.as_ptr().cast_mut()
    }

    /// The attribute of type `TYPE`, if the request has one.
    pub(crate) fn get<const TYPE: usize>(&self) -> Option<Attr<'a>> {
        const { assert!(TYPE < N) };
        // SAFETY: By the type invariant.
        unsafe { Attr::from_raw(self.table[TYPE]) }
    }
}

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
    pub(super) fn as_ptr(&mut self) -> *mut bindings::sk_buff {
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
