// SPDX-License-Identifier: GPL-2.0-only

//! The `bpf` classifier: BPF programs that decide about the packets of a qdisc.
//!
//! What `tc filter add ... bpf da ...` configures. In C: `net/sched/cls_bpf.c`.

mod change;
mod classify;
mod dump;
mod filter;

#[cfg(lwtcls_kunit)]
#[path = "../../kunit/cls.rs"]
mod suite;

use crate::abstractions::{
    bpf::RunContext,
    net::{
        netlink::{
            ExtAck,
            Message, //
        },
        pkt_cls::{
            Action,
            Change,
            ClassChange,
            ClassResult,
            Classifier,
            FilterTable,
            Proto,
            TcSkb,
            Walker, //
        }, //
    },
    sync::{
        rcu::ReadSide,
        rtnl::Rtnl, //
    }, //
};
use filter::Filter;
use kernel::prelude::*;

/// The filters of one priority.
#[pin_data]
pub(crate) struct BpfClassifier {
    #[pin]
    filters: FilterTable<Filter>,
}

#[vtable]
impl Classifier for BpfClassifier {
    const KIND: &'static CStr = c"bpf";

    type Filter = Filter;

    fn init() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            filters <- FilterTable::new(),
        })
    }

    #[inline(always)]
    fn classify(
        &self,
        skb: &mut TcSkb,
        result: &mut ClassResult,
        rcu: &ReadSide<'_>,
        ctx: &RunContext<'_>,
    ) -> Action {
        classify::classify(self.filters.iter(rcu), skb, result, ctx)
    }

    fn get<'a>(&'a self, rtnl: &'a Rtnl, handle: u32) -> Option<&'a Filter> {
        self.filters.get(rtnl, handle)
    }

    fn change<'a>(
        &'a self,
        rtnl: &'a Rtnl,
        change: &Change<'a, Filter>,
        extack: &mut ExtAck<'_>,
    ) -> Result<&'a Filter> {
        change::change(&self.filters, rtnl, change, extack)
    }

    fn delete(&self, rtnl: &Rtnl, tp: &Proto, filter: &Filter) {
        self.filters.remove(rtnl, filter.handle);
        filter.class.unbind(rtnl, tp);
    }

    fn is_empty(&self, rtnl: &Rtnl) -> bool {
        self.filters.is_empty(rtnl)
    }

    fn destroy(&self, rtnl: &Rtnl, tp: &Proto) {
        for filter in self.filters.iter_rtnl(rtnl) {
            filter.class.unbind(rtnl, tp);
        }
    }

    fn walk(&self, rtnl: &Rtnl, walker: &mut Walker<'_>) {
        for filter in self.filters.iter_rtnl(rtnl) {
            if !walker.visit(filter) {
                break;
            }
        }
    }

    fn bind_class(rtnl: &Rtnl, filter: &Filter, change: &ClassChange<'_>) {
        filter.class.rebind(rtnl, change);
    }

    fn handle(filter: &Filter) -> u32 {
        filter.handle
    }

    fn dump(_rtnl: &Rtnl, filter: &Filter, message: &mut Message<'_>) -> Result {
        dump::dump(filter, message)
    }
}
