// SPDX-License-Identifier: GPL-2.0-only

//! The classifier: handles, filter order, verdicts, requests, offload and dumps.

mod classify;
mod devices;
mod requests;
mod table;

use super::{
    filter::Mode,
    stats::FilterStats,
    *, //
};
use crate::abstractions::{
    bpf::ProgOrigin,
    net::{
        netlink::MessageBuf,
        pkt_cls::{
            flags,
            Action,
            FilterInit,
            Handle,
            NewFilter, //
        }, //
    },
    sync::{
        bottom_half::BhDisabled,
        rtnl, //
    },
    testing::{
        self,
        ExtAckBuf,
        FakeDevice,
        ProgWatch,
        ProtoBuf,
        Request,
        ResultBuf, //
    },
    uapi::{
        TCA_BPF_ACT,
        TCA_BPF_CLASSID,
        TCA_BPF_FD,
        TCA_BPF_FLAGS,
        TCA_BPF_FLAGS_GEN,
        TCA_BPF_FLAG_ACT_DIRECT,
        TCA_BPF_ID,
        TCA_BPF_NAME,
        TCA_BPF_OPS,
        TCA_BPF_OPS_LEN,
        TCA_BPF_POLICE,
        TCA_BPF_TAG,
        TCA_OPTIONS,
        TCA_RATE, //
    }, //
};

const CLOSED_FD: u32 = 1 << 30;
/// `TC_ACT_UNSPEC` (-1) as the return value of a program.
const UNSPEC: u32 = u32::MAX;

fn parts(
    watch: &ProgWatch,
    mode: Mode,
    classid: u32,
) -> Result<FilterInit<'static, BpfClassifier>> {
    Ok(FilterInit {
        rule: BpfRule {
            prog: watch.tc_prog(),
            direct_action: mode == Mode::DirectAction,
        },
        classid,
        exts: testing::no_actions(TCA_BPF_ACT, TCA_BPF_POLICE),
        skip: 0,
        data: Data {
            name: None,
            stats: FilterStats::new(),
        },
    })
}

fn direct(watch: &ProgWatch) -> Result<NewFilter<'static, BpfClassifier>> {
    testing::entry(parts(watch, Mode::DirectAction, 0)?)
}

/// A tcf_proto of the classifier, and its block.
struct Instance {
    proto: ProtoBuf<BpfClassifier>,
}

impl Instance {
    fn new() -> Result<Self> {
        Ok(Self {
            proto: ProtoBuf::new()?,
        })
    }

    fn tp(&self) -> TcfProto<'_, BpfClassifier> {
        self.proto.proto()
    }

    fn add(&self, watch: &ProgWatch, handle: Handle) -> Result<u32> {
        self.insert(handle, direct(watch)?)
    }

    /// Inserts a filter the way a request does that needs no offload.
    fn insert(&self, handle: Handle, entry: NewFilter<'static, BpfClassifier>) -> Result<u32> {
        let caller = testing::caller();
        let writer = self.tp().writer(&caller, entry.class().is_some());
        let inserted = writer.insert(handle, entry);
        inserted
            .map(|filter| filter.handle())
            .map_err(|(error, _)| error.unwrap_or(EAGAIN))
    }

    fn publish(&self, handle: Handle, entry: NewFilter<'static, BpfClassifier>) -> Result<u32> {
        let caller = testing::caller();
        let writer = self.tp().writer(&caller, entry.class().is_some());
        let published = writer.reserve(handle)?.publish(entry);
        published.map(|filter| filter.handle()).map_err(|_| EAGAIN)
    }

    fn replace(&self, watch: &ProgWatch, old: &FilterRef<'_, BpfClassifier>) -> Result {
        let caller = testing::caller();
        let writer = self.tp().writer(&caller, false);
        writer
            .replace(old, direct(watch)?)
            .map(|_| ())
            .map_err(|_| EAGAIN)
    }

    fn get(&self, handle: u32) -> Result<FilterRef<'_, BpfClassifier>> {
        self.tp().filters().get(handle).ok_or(ENOENT)
    }

    fn delete(&self, handle: u32) -> Result {
        let caller = testing::caller();
        let filter = self.get(handle)?;
        let writer = self.tp().writer(&caller, filter.class().is_some());
        let mut extack = ExtAckBuf::new()?;
        BpfClassifier::delete(&writer, &filter, &mut extack.extack())
    }

    /// Returns whether the handle is free.
    fn is_free(&self, handle: u32) -> bool {
        let caller = testing::caller();
        let writer = self.tp().writer(&caller, false);
        let reservation = writer.reserve(Handle::Exact(handle));
        reservation.is_ok()
    }

    fn handles(&self) -> Result<KVec<u32>> {
        let mut all = KVec::new();
        let mut index = 0;
        while let Some(filter) = self.tp().filters().nth(index) {
            all.push(filter.handle(), GFP_KERNEL)?;
            index += 1;
        }
        Ok(all)
    }
}

fn options(inner: &Request) -> Result<Request> {
    Request::new().nest(TCA_OPTIONS, inner)
}

fn loaded(fd: u32) -> Result<Request> {
    Request::new()
        .put_u32(TCA_BPF_FD, fd)?
        .put_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT)
}

fn bytecode(count: u16, insns: &[u8]) -> Result<Request> {
    options(
        &Request::new()
            .put(TCA_BPF_OPS_LEN, &count.to_ne_bytes())?
            .put(TCA_BPF_OPS, insns)?,
    )
}
