// SPDX-License-Identifier: GPL-2.0-only

//! Attributes of netlink requests.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use super::{
    aligned,
    extack::ExtAck, //
};
use crate::abstractions::{
    bindings,
    success, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::prelude::*;

/// An attribute of a request.
///
/// # Invariants
///
/// The pointer is to an attribute that lies completely in the request, which lives for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Attr<'a>(NonNull<bindings::nlattr>, PhantomData<&'a ()>);

impl<'a> Attr<'a> {
    /// # Safety
    ///
    /// `attr` is null, or an attribute whose length was checked against its message. It is neither
    /// changed nor freed during `'a`.
    pub(in crate::abstractions) unsafe fn from_raw(attr: *const bindings::nlattr) -> Option<Self> {
        // INVARIANT: By the safety requirements of this function.
        NonNull::new(attr.cast_mut()).map(|attr| Self(attr, PhantomData))
    }

    /// Returns the raw pointer.
    pub(in crate::abstractions::net) fn as_ptr(self) -> *mut bindings::nlattr {
        self.0.as_ptr()
    }

    /// Returns the payload. C: `nla_data()`, `nla_len()`.
    pub(crate) fn payload(self) -> &'a [u8] {
        // SAFETY: The attribute is valid by the type invariant.
        let len = unsafe { bindings::nla_len(self.0.as_ptr()) };
        // SAFETY: The attribute is valid by the type invariant.
        let data = unsafe { bindings::nla_data(self.0.as_ptr()) };
        // SAFETY: `nla_len()` bytes follow the header of the attribute, and live for `'a`.
        unsafe { core::slice::from_raw_parts(data.cast(), usize::try_from(len).unwrap_or(0)) }
    }

    /// Passes the payload to `f` if it has exactly `N` bytes.
    ///
    /// Fails with `ERANGE` if it has fewer bytes, or with `EINVAL` if it has more. `why` is the
    /// extack message.
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
                Err(extack.set_err_attr(error, self, why))
            }
        }
    }

    /// Returns a number in host byte order. Fails with `ERANGE` if the payload has fewer than two
    /// bytes, or with `EINVAL` if it has more.
    pub(crate) fn u16(self, extack: &mut ExtAck<'_>) -> Result<u16> {
        let why = c"the attribute must be 2 bytes long";
        self.exactly(u16::from_ne_bytes, extack, why)
    }

    /// Returns a number in host byte order. Fails with `ERANGE` if the payload has fewer than four
    /// bytes, or with `EINVAL` if it has more.
    pub(crate) fn u32(self, extack: &mut ExtAck<'_>) -> Result<u32> {
        let why = c"the attribute must be 4 bytes long";
        self.exactly(u32::from_ne_bytes, extack, why)
    }

    /// Returns a NUL-terminated string of at most `max` bytes. C: `NLA_NUL_STRING`.
    ///
    /// Some clients send a buffer of fixed size: zeroes may follow the NUL, up to `max + 1` bytes
    /// in all.
    ///
    /// Fails with
    /// - `EINVAL` if there is no NUL among the first `max + 1` bytes, or anything but zeroes
    ///   follows it,
    /// - `ERANGE` if the payload is longer than `max + 1` bytes.
    ///
    /// `too_long` is the extack message for a string of more than `max` bytes.
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

    /// Implements [`Self::str`] for payloads that are not exactly a string of valid length.
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
            return Err(extack.set_err_attr(EINVAL, self, why));
        };
        let (_, rest) = payload.split_at(string.to_bytes_with_nul().len());
        // As in C, a NUL in the last byte does not count.
        if payload.strip_suffix(&[0]).unwrap_or(payload).len() > max {
            return Err(extack.set_err_attr(
                ERANGE,
                self,
                c"the attribute is longer than its longest string",
            ));
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(extack.set_err_attr(
                EINVAL,
                self,
                c"the string is followed by other bytes than zeros",
            ));
        }
        Ok(string)
    }

    /// Parses the nested attributes, of types 1 to `N - 1`. C: `__nla_parse()`.
    ///
    /// Fails with `EINVAL` if a type is 0 or at least `N`, if a type occurs twice, or if trailing
    /// bytes are no attribute.
    #[inline(always)]
    pub(crate) fn nested<const N: usize>(self, extack: &mut ExtAck<'_>) -> Result<Attrs<'a, N>> {
        let mut table = MaybeUninit::<[*mut bindings::nlattr; N]>::uninit();
        let payload = self.payload();
        // SAFETY: The table has an entry for each type up to `maxtype`. Head and length are those
        // of the payload, which is less than 64 KiB long.
        success(unsafe {
            bindings::__nla_parse(
                table.as_mut_ptr().cast(),
                const { N as c_int - 1 },
                payload.as_ptr().cast(),
                payload.len() as c_int,
                ptr::null(),
                bindings::netlink_validation_NL_VALIDATE_TRAILING
                    | bindings::netlink_validation_NL_VALIDATE_MAXTYPE,
                extack.as_ptr(),
            )
        })?;
        // SAFETY: `__nla_parse()` clears the table first, and it succeeded.
        let table = unsafe { table.assume_init() };
        // `__nla_parse()` keeps the last attribute of each type. Unless a type occurs twice, the
        // aligned sizes in the table add up to the payload.
        let filled = table.iter().filter(|attr| !attr.is_null()).map(|attr| {
            // SAFETY: The callee checked that the attribute lies in the payload.
            aligned(usize::from(unsafe { (**attr).nla_len }))
        });
        if filled.sum::<usize>() != aligned(payload.len()) {
            return Err(extack.set_err_attr(EINVAL, self, c"duplicate attribute"));
        }
        // INVARIANT: The callee checked that each attribute in the table lies in the payload.
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
/// Each entry is null, or meets the invariant of [`Attr`] for `'a`.
#[repr(transparent)]
pub(crate) struct Attrs<'a, const N: usize> {
    table: [*mut bindings::nlattr; N],
    _request: PhantomData<&'a ()>,
}

impl<'a, const N: usize> Attrs<'a, N> {
    /// Wraps a table that the kernel has parsed.
    ///
    /// # Safety
    ///
    /// `table` has `N` entries. Each is null, or an attribute that was validated and lives for
    /// `'a`.
    pub(in crate::abstractions) unsafe fn from_raw(table: *mut *mut bindings::nlattr) -> &'a Self {
        // SAFETY: The type is `repr(transparent)`. The rest is by the safety requirements of this
        // function.
        unsafe { &*table.cast() }
    }

    /// Returns the table, for the kernel's own parsers. It must not be written to.
    pub(in crate::abstractions::net) fn as_ptr(&self) -> *mut *mut bindings::nlattr {
        self.table.as_ptr().cast_mut()
    }

    /// Returns whether the request has an attribute of that type.
    pub(crate) fn has(&self, kind: usize) -> bool {
        self.table.get(kind).is_some_and(|attr| !attr.is_null())
    }

    /// Returns the attribute of type `TYPE`, or `None` if the request does not have it.
    pub(crate) fn get<const TYPE: usize>(&self) -> Option<Attr<'a>> {
        const { assert!(TYPE < N) };
        // SAFETY: By the type invariant.
        unsafe { Attr::from_raw(self.table[TYPE]) }
    }
}
