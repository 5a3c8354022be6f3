// SPDX-License-Identifier: GPL-2.0-only

//! Attributes of a request.
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
    pub(in crate::abstractions::net) fn as_ptr(self) -> *mut bindings::nlattr {
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
                extack.as_ptr(),
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
    pub(in crate::abstractions::net) fn as_ptr(&self) -> *mut *mut bindings::nlattr {
        self.table.as_ptr().cast_mut()
    }

    /// The attribute of type `TYPE`, if the request has one.
    pub(crate) fn get<const TYPE: usize>(&self) -> Option<Attr<'a>> {
        const { assert!(TYPE < N) };
        // SAFETY: By the type invariant.
        unsafe { Attr::from_raw(self.table[TYPE]) }
    }
}
