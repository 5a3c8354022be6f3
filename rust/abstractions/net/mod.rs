// SPDX-License-Identifier: GPL-2.0-only

//! Networking.

pub(crate) mod dst;
pub(crate) mod encap;
pub(crate) mod flow;
pub(crate) mod lwtunnel;
pub(crate) mod namespace;
pub(crate) mod netdevice;
pub(crate) mod netlink;
pub(crate) mod pkt_cls;
pub(crate) mod route;
pub(crate) mod skbuff;
