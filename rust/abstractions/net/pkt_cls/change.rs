// SPDX-License-Identifier: GPL-2.0-only

//! Requests to add or change a filter.

use super::{
    proto::{
        TcfProto,
        Writer, //
    },
    Classifier,
    Filter,
    FilterRef,
    NewFilter, //
};
use crate::abstractions::{
    bindings,
    net::netlink::Attrs,
    sync::rtnl::RtnlState, //
};
use kernel::prelude::*;

/// The attributes of a filter request (`TCA_*`).
pub(crate) type Tca<'a> = Attrs<'a, { bindings::__TCA_MAX as usize }>;

/// What a request specifies in addition to the filter itself.
#[derive(Clone, Copy)]
pub(crate) struct RequestFlags {
    /// The filter must not exist (`NLM_F_EXCL`): `tc filter add`, and not `replace` or `change`.
    pub(crate) excl: bool,
    /// The user specified a priority. If not, the core allocated one, and a tcf_proto with it.
    pub(crate) has_prio: bool,
}

/// A request to add a filter or to change one.
pub(crate) struct Change<'a, T: Classifier> {
    /// The tcf_proto to which the filter belongs.
    pub(crate) tp: TcfProto<'a, T>,
    /// Whether RTNL is held.
    pub(crate) caller: RtnlState,
    /// The handle that the user specified, 0 if none.
    pub(crate) handle: u32,
    /// The attributes of the request.
    pub(crate) tca: &'a Tca<'a>,
    /// The existing filter with this handle.
    pub(crate) old: Option<FilterRef<'a, T>>,
    /// The flags of the request.
    pub(crate) request_flags: RequestFlags,
    /// The class of the qdisc that the filter is attached to. C: `base`.
    pub(super) base: c_ulong,
    pub(super) net: *mut bindings::net,
    /// `TCA_ACT_FLAGS_*`, as passed to actions.
    pub(super) flags: u32,
}

impl<'a, T: Classifier> Change<'a, T> {
    /// Creates a request as the core does, in the initial namespace.
    #[cfg(lwtcls_kunit)]
    pub(crate) fn new(
        tp: TcfProto<'a, T>,
        caller: RtnlState,
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
            request_flags: RequestFlags {
                excl: false,
                has_prio: true,
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

    /// Returns the right to add `entry` to the table, or to replace the old filter by it. See
    /// [`TcfProto::writer`]. RTNL is also needed if one of the filters has a class.
    pub(crate) fn writer(&self, entry: &NewFilter<'a, T>, needs_rtnl: bool) -> Writer<'_, 'a, T> {
        let has_class = |filter: &Filter<T>| filter.class().is_some();
        let needs_rtnl =
            needs_rtnl || has_class(entry) || self.old.as_deref().is_some_and(has_class);
        self.tp.writer(&self.caller, needs_rtnl)
    }

    /// Returns the rate estimator of the request (`TCA_RATE`), or null.
    pub(super) fn rate(&self) -> *mut bindings::nlattr {
        self.tca
            .get::<{ bindings::TCA_RATE as usize }>()
            .map_or(core::ptr::null_mut(), |attr| attr.as_ptr())
    }
}
