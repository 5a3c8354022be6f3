// SPDX-License-Identifier: GPL-2.0-only

//! A request to add or change a filter.

use super::{
    proto::{
        TcfProto,
        Writer, //
    },
    Classifier,
    Entry,
    Filter,
    FilterRef, //
};
use crate::abstractions::{
    bindings,
    net::netlink::Attrs,
    sync::rtnl::Caller, //
};
use kernel::prelude::*;

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
    pub(super) base: c_ulong,
    pub(super) net: *mut bindings::net,
    /// `TCA_ACT_FLAGS_*`, for actions.
    pub(super) flags: u32,
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
    pub(super) fn rate(&self) -> *mut bindings::nlattr {
        self.tca
            .get::<{ bindings::TCA_RATE as usize }>()
            .map_or(core::ptr::null_mut(), |attr| attr.as_ptr())
    }
}
