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
    /// The longest name, without its NUL. C: `MAX_PROG_NAME`, `CLS_BPF_NAME_LEN`.
    pub(crate) const MAX: usize = 256;

    /// Copies a name, without the zeros that may follow its NUL. Errors are those of [`Attr::str`],
    /// and `ENOMEM`.
    pub(crate) fn parse(attr: Attr<'_>, flags: Flags, extack: &mut ExtAck<'_>) -> Result<Self> {
        let name = attr.str(
            Self::MAX,
            c"the program's name is longer than 256 bytes",
            extack,
        )?;
        let mut copy = KVec::new();
        copy.extend_from_slice(name.to_bytes_with_nul(), flags)?;
        Ok(Self(copy))
    }

    /// The name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // Always there, for `parse` copied it. An empty name is what a bug would show.
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}
