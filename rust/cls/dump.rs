// SPDX-License-Identifier: GPL-2.0-only

//! What `tc filter show` reads.

use super::filter::Filter;
use crate::abstractions::{
    net::netlink::Message,
    uapi::{
        TCA_BPF_CLASSID,
        TCA_BPF_FLAGS,
        TCA_BPF_FLAGS_GEN,
        TCA_BPF_FLAG_ACT_DIRECT,
        TCA_BPF_ID,
        TCA_BPF_NAME,
        TCA_BPF_TAG,
        TCA_OPTIONS, //
    }, //
};
use kernel::prelude::*;

/// Writes a filter, in the C's order of attributes. C: `cls_bpf_dump()`.
pub(super) fn dump(filter: &Filter, message: &mut Message<'_>) -> Result {
    message.nest(TCA_OPTIONS as u32, |message| {
        if filter.class.classid() != 0 {
            message.put_u32(TCA_BPF_CLASSID as u32, filter.class.classid())?;
        }
        if let Some(name) = &filter.name {
            message.put_str(TCA_BPF_NAME as u32, name.as_cstr())?;
        }
        message.put_u32(TCA_BPF_ID as u32, filter.prog.id())?;
        message.put(TCA_BPF_TAG as u32, filter.prog.tag())?;
        message.put_u32(TCA_BPF_FLAGS as u32, TCA_BPF_FLAG_ACT_DIRECT)?;
        message.put_u32(TCA_BPF_FLAGS_GEN as u32, filter.gen_flags)
    })
}
