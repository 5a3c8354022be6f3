// SPDX-License-Identifier: GPL-2.0-only

//! Hit counters of a filter, updated while BPF statistics are enabled (sysctl
//! `kernel.bpf_stats_enabled`).

use super::filter::Filter;
use crate::abstractions::{
    bpf::stats_enabled,
    net::{
        netlink::Message,
        pkt_cls::{
            Action,
            TcSkb, //
        }, //
    },
    sync::percpu::Counters,
    uapi::{
        TCA_STATS2,
        TCA_STATS_BASIC,
        TCA_STATS_PAD,
        TCA_STATS_PKT64,
        TCA_STATS_QUEUE, //
    }, //
};
use kernel::prelude::*;

/// Packets and bytes that the filter matched (returned a verdict or a class for), and packets that
/// it dropped.
pub(super) struct FilterStats(Counters<3>);

impl FilterStats {
    pub(super) const fn new() -> Self {
        Self(Counters::new())
    }

    /// Counts a packet in the units of tc actions: packets after segmentation, bytes on the wire.
    ///
    /// `verdict` is the verdict of the filter itself, `None` if it returned a class.
    #[inline(always)]
    pub(super) fn count(&self, skb: &TcSkb<'_>, verdict: Option<Action>) {
        self.add(skb.pkt_segs().into(), skb.pkt_len().into(), verdict);
    }

    #[cold]
    #[inline(never)]
    fn add(&self, packets: u64, bytes: u64, verdict: Option<Action>) {
        let drops = (verdict == Some(Action::SHOT)).into();
        self.0.add([(0, packets), (1, bytes), (2, drops)]);
    }

    /// Dumps the counters as `TCA_STATS2`: zeroes if nothing was ever counted.
    #[cold]
    fn write(&self, message: &mut Message<'_>) -> Result {
        let [packets, bytes, drops] = self.0.sum().unwrap_or_default();
        message.nest(TCA_STATS2 as u32, |message| {
            let mut basic = [0; 16];
            basic[..8].copy_from_slice(&bytes.to_ne_bytes());
            basic[8..12].copy_from_slice(&(packets as u32).to_ne_bytes());
            message.put_64bit(TCA_STATS_BASIC as u32, &basic, TCA_STATS_PAD as u32)?;
            message.put_64bit(
                TCA_STATS_PKT64 as u32,
                &packets.to_ne_bytes(),
                TCA_STATS_PAD as u32,
            )?;
            // qlen, backlog, drops, requeues, overlimits
            let mut queue = [0; 20];
            queue[8..12].copy_from_slice(&(drops as u32).to_ne_bytes());
            message.put(TCA_STATS_QUEUE as u32, &queue)
        })
    }
}

/// Dumps the hit counters of a filter in the format of qdisc statistics: `struct gnet_stats_basic`,
/// the packets again in 64 bits, and the drops in `struct gnet_stats_queue`. The C has no
/// counterpart.
///
/// Dumps nothing if the filter's actions give the verdict, because actions have statistics of their
/// own. Dumps nothing either if nothing was ever counted and BPF statistics are disabled.
#[inline(always)]
pub(super) fn dump(filter: &Filter, message: &mut Message<'_>) -> Result {
    if !filter.rule().direct_action && !filter.exts().is_empty() {
        return Ok(());
    }
    let stats = &filter.data().stats;
    if stats.0.is_used() || stats_enabled() {
        stats.write(message)
    } else {
        Ok(())
    }
}
