// SPDX-License-Identifier: GPL-2.0-only

//! Traffic classifiers.
//!
//! Implement [`Classifier`], and hold a [`Registration`]. Each instance has its filters in a table,
//! by way of [`TcfProto`]; a [`Writer`] changes them.
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

mod adapter;
mod bpf;
mod chain;
mod class;
mod exts;
mod filter;
mod offload;
mod packet;
mod proto;
mod table;

pub(crate) use adapter::{
    classifier_entries,
    raw,
    Adapter,
    Entries,
    Registration, //
};
pub(crate) use bpf::BpfRule;
pub(crate) use class::ClassResult;
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
#[cfg(lwtcls_kunit)]
pub(crate) use table::FilterTable;
pub(crate) use table::{
    Entry,
    FilterRef,
    Handle,
    Iter, //
};

use super::netlink::{
    Attrs,
    ExtAck,
    Message, //
};
use crate::abstractions::{
    bindings,
    sync::{
        bottom_half::BhDisabled,
        rtnl::Caller, //
    },
};
use kernel::prelude::*;
use offload::Rule;

/// The attributes of a filter request (`TCA_*`).
pub(crate) type Tca<'a> = Attrs<'a, { bindings::__TCA_MAX as usize }>;

/// What a request says besides what the filter is to be.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// The filter must be new (`NLM_F_EXCL`): `tc filter add`, and not `replace` or `change`.
    pub(crate) exclusive: bool,
    /// The user names a priority. If not, the core has made one up, and an instance with it.
    pub(crate) names_priority: bool,
}

/// A request to add a filter or to change one.
pub(crate) struct Change<'a, T: Classifier> {
    /// The instance that it is for.
    pub(crate) tp: TcfProto<'a, T>,
    /// Whether RTNL is held.
    pub(crate) caller: Caller,
    /// The handle that the user named; 0 if none.
    pub(crate) handle: u32,
    /// The request.
    pub(crate) tca: &'a Tca<'a>,
    /// The filter that has the handle already.
    pub(crate) old: Option<FilterRef<'a, T>>,
    /// How the user asks for it.
    pub(crate) manner: Manner,
    /// The class whose filters are changed.
    base: c_ulong,
    net: *mut bindings::net,
    /// `TCA_ACT_FLAGS_*`, for actions.
    flags: u32,
}

#[cfg(lwtcls_kunit)]
impl<T: Classifier> TcfProto<'_, T> {
    /// Classifies a packet.
    pub(crate) fn classify<'a>(
        &self,
        skb: TcSkb<'a>,
        result: &mut ClassResult,
        bh: &BhDisabled<'_>,
    ) -> Verdict<'a> {
        T::classify(self.filters().iter(&bh.read_side()), skb, result, bh)
    }
}

impl<'a, T: Classifier> Change<'a, T> {
    /// A request as the core would make it, in the first namespace.
    #[cfg(lwtcls_kunit)]
    pub(crate) fn new(
        tp: TcfProto<'a, T>,
        caller: Caller,
        handle: u32,
        tca: &'a Tca<'a>,
        old: Option<FilterRef<'a, T>>,
    ) -> Self {
        Self {
            tp,
            handle,
            base: 0,
            tca,
            old,
            manner: Manner {
                exclusive: false,
                names_priority: true,
            },
            net: &raw mut bindings::init_net,
            flags: if caller.holds_rtnl() {
                0
            } else {
                bindings::TCA_ACT_FLAGS_NO_RTNL
            },
            caller,
        }
    }

    /// Gets the right to put `entry` into the table, in place of the old filter if there is one. See
    /// [`TcfProto::writer`]; a class needs RTNL, too.
    pub(crate) fn writer(&self, entry: &Entry<'a, T>, needs_rtnl: bool) -> Writer<'_, 'a, T> {
        let has_class = |filter: &Filter<T>| filter.class().is_some();
        let needs_rtnl =
            needs_rtnl || has_class(entry) || self.old.as_deref().is_some_and(has_class);
        self.tp.writer(&self.caller, needs_rtnl)
    }

    /// The estimator that the request asks for, or null.
    fn rate(&self) -> *mut bindings::nlattr {
        self.tca
            .get::<{ bindings::TCA_RATE as usize }>()
            .map_or(core::ptr::null_mut(), |attr| attr.as_ptr())
    }
}

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
