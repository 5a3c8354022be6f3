// SPDX-License-Identifier: GPL-2.0-only

//! The name that a user gives to a program, as `ip` and `tc` show it: `object.o:[section]`.

use crate::abstractions::{
    net::netlink::{
        Attr,
        ExtAck, //
    },
    str::{
        Gfp,
        OwnedCStr, //
    }, //
};
use kernel::prelude::*;

/// A name, copied out of a request.
pub(crate) struct ProgName(OwnedCStr);

impl ProgName {
    /// The longest name, without its NUL. C: `MAX_PROG_NAME`, `CLS_BPF_NAME_LEN`.
    pub(crate) const MAX: usize = 256;

    /// Copies a name, without the zeros that may follow its NUL. Errors are those of [`Attr::str`],
    /// and `ENOMEM`.
    pub(crate) fn parse(attr: Attr<'_>, gfp: Gfp, extack: &mut ExtAck<'_>) -> Result<Self> {
        let name = attr.str(
            Self::MAX,
            c"the program's name is longer than 256 bytes",
            extack,
        )?;
        OwnedCStr::new(name, gfp).map(Self)
    }

    /// The name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        self.0.as_cstr()
    }
}
