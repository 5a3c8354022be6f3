// SPDX-License-Identifier: GPL-2.0-only

//! The name that userspace gives to a program, as shown by `ip` and `tc`: `object.o:[section]`.

use crate::abstractions::{
    net::netlink::{
        Attr,
        ExtAck, //
    },
    str::OwnedCStr, //
};
use kernel::prelude::*;

/// A program name, copied from a request.
pub(crate) struct ProgName(OwnedCStr);

impl ProgName {
    /// Maximum length, without the NUL. C: `MAX_PROG_NAME`, `CLS_BPF_NAME_LEN`.
    pub(crate) const MAX: usize = 256;

    /// Reads a name from an attribute. Zeroes after the NUL are ignored. Fails like [`Attr::str`].
    #[inline(always)]
    pub(crate) fn read<'a>(attr: Attr<'a>, extack: &mut ExtAck<'_>) -> Result<&'a CStr> {
        attr.str(
            Self::MAX,
            c"the program's name is longer than 256 bytes",
            extack,
        )
    }

    /// Copies a name from an attribute. Fails like [`Self::read`], or with `ENOMEM`. May sleep.
    pub(crate) fn parse(attr: Attr<'_>, extack: &mut ExtAck<'_>) -> Result<Self> {
        OwnedCStr::new(Self::read(attr, extack)?).map(Self)
    }

    /// Returns the name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        self.0.as_cstr()
    }
}
