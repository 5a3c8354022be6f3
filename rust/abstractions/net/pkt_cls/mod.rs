// SPDX-License-Identifier: GPL-2.0-only

//! Traffic classifiers.
//!
//! Implement [`Classifier`], name its callbacks with [`classifier_entries!`], and hold a
//! [`Registration`]. Each tcf_proto has its filters in a table, by way of [`TcfProto`]; a [`Writer`]
//! changes them.
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

mod adapter;
mod bpf;
mod chain;
mod change;
mod class;
mod deferred;
mod entries;
mod exts;
mod filter;
mod offload;
mod packet;
mod proto;
mod registration;
mod table;

pub(crate) use adapter::Adapter;
pub(crate) use bpf::BpfRule;
pub(crate) use change::{
    Change,
    Manner,
    Tca, //
};
pub(crate) use class::ClassResult;
pub(crate) use entries::{
    classifier_entries,
    raw,
    Entries, //
};
pub(crate) use exts::Exts;
pub(crate) use filter::{
    Filter,
    Parts, //
};
pub(crate) use offload::{
    flags,
    Device,
    Devices, //
};
#[cfg(lwtcls_kunit)]
pub(crate) use packet::TcRan;
pub(crate) use packet::{
    Action,
    TcRun,
    TcSkb,
    Verdict, //
};
pub(crate) use proto::{
    TcfProto,
    Writer, //
};
pub(crate) use registration::Registration;
#[cfg(lwtcls_kunit)]
pub(crate) use table::FilterTable;
pub(crate) use table::{
    Entry,
    FilterRef,
    Handle,
    Iter, //
};

use super::netlink::{
    ExtAck,
    Message, //
};
use crate::abstractions::sync::{
    bottom_half::BhDisabled,
    rtnl::Caller, //
};
use kernel::prelude::*;
use offload::Rule;

/// A classifier. C: `struct tcf_proto_ops`.
///
/// All methods but [`Self::classify`] run in process context. Those that are given a [`Caller`], or
/// a [`Writer`], run without RTNL if that says so, and then at once with others on the same instance
/// (`TCF_PROTO_OPS_DOIT_UNLOCKED`); what needs RTNL asks it for [`Rtnl`](super::super::sync::rtnl::Rtnl).
pub(crate) trait Classifier: Sized + Send + Sync + 'static {
    /// What `tc filter add ... KIND` says. At most 15 bytes.
    const KIND: &'static CStr;

    /// What a filter does.
    type Rule: Rule;

    /// What the classifier keeps of a filter besides.
    type Data: Send + Sync;

    /// What drivers are told that the filter is called.
    fn name(data: &Self::Data) -> Option<&CStr>;

    /// Decides about a packet. C: `classify`.
    fn classify<'a>(
        filters: Iter<'_, Self>,
        skb: TcSkb<'a>,
        result: &mut ClassResult,
        bh: &BhDisabled<'_>,
    ) -> Verdict<'a>;

    /// Adds or replaces a filter. Nothing has changed on error; `EAGAIN` has the core start over,
    /// with RTNL. C: `change`.
    fn change<'a>(change: Change<'a, Self>, extack: &mut ExtAck<'_>)
        -> Result<FilterRef<'a, Self>>;

    /// Deletes a filter, by [`Writer::remove`]. `ENOENT` if another request did so already.
    /// C: `delete`.
    fn delete(
        writer: &Writer<'_, '_, Self>,
        filter: &FilterRef<'_, Self>,
        extack: &mut ExtAck<'_>,
    ) -> Result;

    /// The instance goes, and no request has it any more: filters let go of devices. They are
    /// dropped after a grace period. C: `destroy`.
    fn destroy(writer: &Writer<'_, '_, Self>, extack: &mut ExtAck<'_>);

    /// A device joins the block, or leaves it. Filters neither come nor go meanwhile. An error keeps
    /// a device from joining; it is then told to leave. C: `reoffload`.
    fn reoffload(device: &Device<'_, Self>, joins: bool, extack: &mut ExtAck<'_>) -> Result;

    /// Writes what [`Self::change`] could read, and what else there is to know. C: `dump`.
    fn dump(
        caller: &Caller,
        tp: &TcfProto<'_, Self>,
        filter: &Filter<Self>,
        message: &mut Message<'_>,
    ) -> Result;

    /// Writes what distinguishes a filter, and the statistics of its actions. C: `terse_dump`.
    fn terse_dump(filter: &Filter<Self>, message: &mut Message<'_>) -> Result;
}
