// SPDX-License-Identifier: GPL-2.0-only

//! The name that a user gives to a program, as `ip` and `tc` show it: `object.o:[section]`.

use crate::abstractions::net::netlink::{
    Attr,
    ExtAck, //
};
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A name, copied out of a request.
pub(crate) struct ProgName(KVec<u8>);

impl ProgName {
    /// The longest name, without its NUL.
    pub(crate) const MAX: usize = 255;

    /// Copies a name. `ERANGE` if it is too long, `EINVAL` if its NUL is missing, `ENOMEM`.
    pub(crate) fn parse(attr: Attr<'_>, flags: Flags, extack: &mut ExtAck<'_>) -> Result<Self> {
        let name = attr.str(extack)?.to_bytes_with_nul();
        if name.len() > Self::MAX + 1 {
            return Err(extack.refuse_attr(
                ERANGE,
                attr,
                c"the program's name is longer than 255 bytes",
            ));
        }
        let mut copy = KVec::new();
        copy.extend_from_slice(name, flags)?;
        Ok(Self(copy))
    }

    /// The name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // Always there, for `parse` copied it. An empty name is what a bug would show.
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}
