// SPDX-License-Identifier: GPL-2.0-only

//! Real kernel objects for KUnit suites: packets, programs, requests, messages.

mod classifier;
mod device;
mod hooks;
mod netlink;
mod prog;
mod skb;

pub(crate) use classifier::{
    caller,
    entry,
    flush_deferred,
    no_actions,
    ProtoBuf,
    ResultBuf, //
};
pub(crate) use device::FakeDevice;
pub(crate) use hooks::{
    push,
    push_own_bytes,
    received,
    sent,
    set_transport,
    with_dst,
    with_mem,
    xmit,
    Outcome,
    XMIT_CONTINUE, //
};
pub(crate) use netlink::{
    ExtAckBuf,
    Request, //
};
pub(crate) use prog::ProgWatch;
pub(crate) use skb::{
    lone_skb,
    round_trip,
    skb,
    Headers,
    SkbWatch,
    HEADROOM, //
};
