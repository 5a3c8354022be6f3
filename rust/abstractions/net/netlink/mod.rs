// SPDX-License-Identifier: GPL-2.0-only

//! Netlink: attributes of requests and of messages, and extended acknowledgements.
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

/// Alignment of attributes. C: `NLA_ALIGNTO`.
const ALIGN: usize = 4;

/// Rounds a length up to the alignment of attributes. C: `NLA_ALIGN()`.
const fn aligned(len: usize) -> usize {
    (len + ALIGN - 1) & !(ALIGN - 1)
}
