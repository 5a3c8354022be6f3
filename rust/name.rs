// SPDX-License-Identifier: GPL-2.0-only

//! The name that a user gives to a program, as `ip` and `tc` show it: `object.o:[section]`.

use crate::abstractions::{
    net::netlink::{
        Attr,
        ExtAck, //
    },
    str::OwnedCStr, //
};
use kernel::prelude::*;

/// A name, copied out of a request.
pub(crate) struct ProgName(OwnedCStr);

impl ProgName {
    /// The longest name, without its NUL. C: `MAX_PROG_NAME`, `CLS_BPF_NAME_LEN`.
    pub(crate) const MAX: usize = 256;

    /// Reads a name, without the zeros that may follow its NUL. Errors are those of [`Attr::str`].
    #[inline(always)]
    pub(crate) fn read<'a>(attr: Attr<'a>, extack: &mut ExtAck<'_>) -> Result<&'a CStr> {
        attr.str(
            Self::MAX,
            c"the program's name is longer than 256 bytes",
            extack,
        )
    }

    /// Copies a name. Errors are those of [`Self::read`], and `ENOMEM`. May sleep.
    pub(crate) fn parse(attr: Attr<'_>, extack: &mut ExtAck<'_>) -> Result<Self> {
        OwnedCStr::new(Self::read(attr, extack)?).map(Self)
    }

    /// The name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        self.0.as_cstr()
    }
}
