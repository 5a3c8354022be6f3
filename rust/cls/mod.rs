// SPDX-License-Identifier: GPL-2.0-only

//! The `bpf` classifier: BPF programs that decide about the packets of a qdisc.
//!
//! What `tc filter add ... bpf da ...` configures. In C: `net/sched/cls_bpf.c`.

mod change;
mod classify;
mod dump;
mod filter;
mod offload;

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
            Device,
            Devices,
            FilterRef,
            FilterTable,
            Proto,
            TcSkb, //
        }, //
    },
    sync::{
        rcu::ReadSide,
        rtnl::{
            Caller,
            Rtnl, //
        }, //
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

    fn filters(&self) -> &FilterTable<Filter> {
        &self.filters
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

    fn change<'a>(
        &'a self,
        change: Change<'a, Filter>,
        extack: &mut ExtAck<'_>,
    ) -> Result<FilterRef<'a, Filter>> {
        change::change(&self.filters, &change, extack)
    }

    fn delete(
        &self,
        caller: &Caller,
        tp: &Proto,
        filter: FilterRef<'_, Filter>,
        extack: &mut ExtAck<'_>,
    ) -> Result {
        let writer = tp.writer(caller, filter.class.is_some());
        if !self.filters.remove(&writer, &filter) {
            return Err(extack.refuse(ENOENT, c"the filter was deleted by another request"));
        }
        if let Some(rtnl) = writer.rtnl() {
            offload::remove(&Devices::new(tp, rtnl), &filter, extack);
            filter.class.unbind(rtnl, tp);
        }
        Ok(())
    }

    fn destroy(&self, caller: &Caller, tp: &Proto, extack: &mut ExtAck<'_>) {
        let mut has_class = false;
        let _ = self.filters.for_each(|filter| {
            has_class |= filter.class.is_some();
            Ok(())
        });
        let writer = tp.writer(caller, has_class);
        if let Some(rtnl) = writer.rtnl() {
            let devices = Devices::new(tp, rtnl);
            let _ = self.filters.for_each(|filter| {
                offload::remove(&devices, filter, extack);
                filter.class.unbind(rtnl, tp);
                Ok(())
            });
        }
    }

    fn reoffload(&self, device: &Device<'_>, joins: bool, extack: &mut ExtAck<'_>) -> Result {
        self.filters.for_each(|filter| {
            if joins {
                offload::join(device, filter, extack)
            } else {
                offload::leave(device, filter, extack);
                Ok(())
            }
        })
    }

    fn bind_class(rtnl: &Rtnl, filter: &Filter, change: &ClassChange<'_>) {
        filter.class.rebind(rtnl, change);
    }

    fn dump(caller: &Caller, tp: &Proto, filter: &Filter, message: &mut Message<'_>) -> Result {
        if filter.offload.in_hw() {
            filter.as_offload().update_stats(caller, tp);
        }
        dump::dump(filter, message)
    }

    fn terse_dump(filter: &Filter, message: &mut Message<'_>) -> Result {
        dump::terse_dump(filter, message)
    }
}
