// SPDX-License-Identifier: GPL-2.0-only

//! Netlink attributes, read and written, and the extack message that goes back to the user.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

mod attr;
mod extack;
mod message;

pub(crate) use attr::{
    Attr,
    Attrs, //
};
pub(crate) use extack::ExtAck;
pub(crate) use message::{
    total_size,
    Message,
    MessageBuf, //
};

/// Where the next attribute may begin. C: `NLA_ALIGNTO`.
const ALIGN: usize = 4;

/// A length with its padding. C: `NLA_ALIGN()`.
const fn aligned(len: usize) -> usize {
    (len + ALIGN - 1) & !(ALIGN - 1)
}
