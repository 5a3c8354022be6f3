// SPDX-License-Identifier: GPL-2.0-only

//! BPF classifier: runs BPF programs that classify packets, or return a verdict on them.
//!
//! Configured by `tc filter add ... bpf da ...`.
//!
//! C version: `net/sched/cls_bpf.c`.

mod change;
mod classify;
mod dump;
mod filter;
mod offload;
mod program;
mod stats;
mod warnings;

#[cfg(lwtcls_kunit)]
#[path = "../../kunit/cls/mod.rs"]
mod suite;

use crate::abstractions::{
    net::{
        netlink::{
            ExtAck,
            Message, //
        },
        pkt_cls::{
            BpfRule,
            Change,
            ClassResult,
            Classifier,
            FilterRef,
            Iter,
            OffloadDevice,
            TcSkb,
            TcfProto,
            Verdict,
            Writer, //
        }, //
    },
    sync::{
        bottom_half::BhDisabled,
        rtnl::RtnlState, //
    }, //
};
use crate::name::ProgName;
use filter::{
    Data,
    Filter, //
};
use kernel::prelude::*;

/// The `bpf` classifier.
pub(crate) enum BpfClassifier {}

impl Classifier for BpfClassifier {
    const KIND: &'static CStr = c"bpf";

    type Rule = BpfRule;

    type Data = Data;

    fn name(data: &Data) -> Option<&CStr> {
        data.name.as_ref().map(ProgName::as_cstr)
    }

    #[inline(always)]
    fn classify<'a>(
        filters: Iter<'_, Self>,
        skb: TcSkb<'a>,
        result: &mut ClassResult,
        bh: &BhDisabled<'_>,
    ) -> Verdict<'a> {
        classify::classify(filters, skb, result, bh)
    }

    fn change<'a>(
        change: Change<'a, Self>,
        extack: &mut ExtAck<'_>,
    ) -> Result<FilterRef<'a, Self>> {
        change::change(&change, extack)
    }

    #[inline(always)]
    fn delete(
        writer: &Writer<'_, '_, Self>,
        filter: &FilterRef<'_, Self>,
        extack: &mut ExtAck<'_>,
    ) -> Result {
        if !writer.remove(filter) {
            return Err(extack.set_err(ENOENT, c"the filter was deleted by another request"));
        }
        if let Some(devices) = writer.devices() {
            offload::remove(&devices, filter, extack);
        }
        Ok(())
    }

    fn destroy(writer: &Writer<'_, '_, Self>, extack: &mut ExtAck<'_>) {
        if let Some(devices) = writer.devices() {
            let _ = writer.tp().filters().for_each(|filter| {
                offload::remove(&devices, filter, extack);
                Ok(())
            });
        }
    }

    fn reoffload(device: &OffloadDevice<'_, Self>, joins: bool, extack: &mut ExtAck<'_>) -> Result {
        device.tp().filters().for_each(|filter| {
            if joins {
                offload::add_to(device, filter, extack)
            } else {
                offload::remove_from(device, filter, extack);
                Ok(())
            }
        })
    }

    #[inline(always)]
    fn dump(
        caller: &RtnlState,
        tp: &TcfProto<'_, Self>,
        filter: &Filter,
        message: &mut Message<'_>,
    ) -> Result {
        if filter.in_hw() {
            filter.update_stats(caller, tp);
        }
        dump::dump(filter, message)
    }

    fn terse_dump(filter: &Filter, message: &mut Message<'_>) -> Result {
        dump::terse_dump(filter, message)
    }
}
