// SPDX-License-Identifier: GPL-2.0-only

//! Traffic classifiers.
//!
//! Implement [`Classifier`], name its callbacks with [`classifier_ops!`], and hold a
//! [`Registration`]. Each tcf_proto has a table of filters, which [`TcfProto`] gives access to and
//! a [`Writer`] changes.
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

mod adapter;
mod bpf;
mod chain;
mod change;
mod class;
mod dump;
mod entries;
mod exts;
mod filter;
mod links;
mod offload;
mod packet;
mod proto;
mod rcu_work;
mod registration;
mod table;

pub(crate) use adapter::Adapter;
pub(crate) use bpf::BpfRule;
pub(crate) use change::{
    Change,
    RequestFlags,
    Tca, //
};
pub(crate) use class::ClassResult;
pub(crate) use entries::{
    classifier_ops,
    raw,
    Ops, //
};
pub(crate) use exts::Exts;
pub(crate) use filter::{
    Filter,
    FilterInit, //
};
pub(crate) use offload::{
    flags,
    OffloadDevice,
    OffloadDevices, //
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
    FilterRef,
    Handle,
    Iter,
    NewFilter, //
};

use super::netlink::{
    ExtAck,
    Message, //
};
use crate::abstractions::sync::{
    bottom_half::BhDisabled,
    rtnl::RtnlState, //
};
use kernel::prelude::*;
use offload::Rule;

/// A classifier. C: `struct tcf_proto_ops`.
///
/// All methods but [`Self::classify`] run in process context. Methods with a [`RtnlState`] or a
/// [`Writer`] argument may run without RTNL, as the argument says, and then concurrently with
/// others for the same tcf_proto (`TCF_PROTO_OPS_DOIT_UNLOCKED`). An operation that needs RTNL
/// takes an [`Rtnl`](super::super::sync::rtnl::Rtnl), which the argument provides.
pub(crate) trait Classifier: Sized + Send + Sync + 'static {
    /// The kind, as in `tc filter add ... KIND`. At most 15 bytes.
    const KIND: &'static CStr;

    /// What a filter does.
    type Rule: Rule;

    /// The classifier's own data of a filter.
    type Data: Send + Sync;

    /// Returns the name of a filter, for drivers.
    fn name(data: &Self::Data) -> Option<&CStr>;

    /// Classifies a packet. C: `classify`.
    fn classify<'a>(
        filters: Iter<'_, Self>,
        skb: TcSkb<'a>,
        result: &mut ClassResult,
        bh: &BhDisabled<'_>,
    ) -> Verdict<'a>;

    /// Adds or replaces a filter. On error nothing has changed. On `EAGAIN` the core retries the
    /// request with RTNL held. C: `change`.
    fn change<'a>(change: Change<'a, Self>, extack: &mut ExtAck<'_>)
        -> Result<FilterRef<'a, Self>>;

    /// Deletes a filter, with [`Writer::remove`]. Fails with `ENOENT` if another request has
    /// already deleted it. C: `delete`.
    fn delete(
        writer: &Writer<'_, '_, Self>,
        filter: &FilterRef<'_, Self>,
        extack: &mut ExtAck<'_>,
    ) -> Result;

    /// Removes the filters from devices, when no request uses the tcf_proto any more. The filters
    /// are dropped after a grace period. C: `destroy`.
    fn destroy(writer: &Writer<'_, '_, Self>, extack: &mut ExtAck<'_>);

    /// Handles a device that joins or leaves the block. No filter is added or removed meanwhile. On
    /// error the device does not join, and this is called again for the device to leave.
    /// C: `reoffload`.
    fn reoffload(device: &OffloadDevice<'_, Self>, joins: bool, extack: &mut ExtAck<'_>) -> Result;

    /// Dumps the attributes that [`Self::change`] can parse, and those that are only reported.
    /// C: `dump`.
    fn dump(
        caller: &RtnlState,
        tp: &TcfProto<'_, Self>,
        filter: &Filter<Self>,
        message: &mut Message<'_>,
    ) -> Result;

    /// Dumps what identifies a filter, and the statistics of its actions. C: `terse_dump`.
    fn terse_dump(filter: &Filter<Self>, message: &mut Message<'_>) -> Result;
}
