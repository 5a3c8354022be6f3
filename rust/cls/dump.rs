// SPDX-License-Identifier: GPL-2.0-only

//! Dumps of a filter, for `tc filter show`.

use super::{
    filter::Filter,
    stats, //
};
use crate::abstractions::{
    bpf::ProgOrigin,
    net::netlink::Message,
    uapi::{
        TCA_BPF_CLASSID,
        TCA_BPF_FLAGS,
        TCA_BPF_FLAGS_GEN,
        TCA_BPF_FLAG_ACT_DIRECT,
        TCA_BPF_ID,
        TCA_BPF_NAME,
        TCA_BPF_OPS,
        TCA_BPF_OPS_LEN,
        TCA_BPF_TAG,
        TCA_OPTIONS, //
    }, //
};
use kernel::prelude::*;

/// Dumps a filter, with the attributes in the same order as the C. C: `cls_bpf_dump()`.
#[inline(always)]
pub(super) fn dump(filter: &Filter, message: &mut Message<'_>) -> Result {
    message.nest(TCA_OPTIONS as u32, |message| {
        if filter.class().is_some() {
            message.put_u32(TCA_BPF_CLASSID as u32, filter.class().classid())?;
        }
        match filter.rule().prog.origin() {
            ProgOrigin::Classic(count, insns) => {
                message.put_u16(TCA_BPF_OPS_LEN as u32, count)?;
                message.put(TCA_BPF_OPS as u32, insns)?;
            }
            ProgOrigin::Loaded { id, tag } => {
                if let Some(name) = &filter.data().name {
                    message.put_str(TCA_BPF_NAME as u32, name.as_cstr())?;
                }
                message.put_u32(TCA_BPF_ID as u32, id)?;
                message.put(TCA_BPF_TAG as u32, tag)?;
            }
        }
        filter.exts().dump(message)?;
        if filter.rule().direct_action {
            message.put_u32(TCA_BPF_FLAGS as u32, TCA_BPF_FLAG_ACT_DIRECT)?;
        }
        message.put_u32(TCA_BPF_FLAGS_GEN as u32, filter.flags())
    })?;
    filter.exts().dump_stats(message)?;
    stats::dump(filter, message)
}

/// Dumps the flags of a filter and its actions, for `tc -br filter show`. The C has no terse dump.
pub(super) fn terse_dump(filter: &Filter, message: &mut Message<'_>) -> Result {
    message.nest(TCA_OPTIONS as u32, |message| {
        message.put_u32(TCA_BPF_FLAGS_GEN as u32, filter.flags())?;
        filter.exts().terse_dump(message)
    })
}
