// SPDX-License-Identifier: GPL-2.0-only

//! The tracepoint `lwtcls:exception`, see `include/lwtcls_trace.h`.

use super::net::skbuff::{
    DropReason,
    SkBuff, //
};
use kernel::prelude::*;

/// Traces a packet that is about to be dropped. Any context.
///
/// The event has the hook, the id and the return value of the program, the errno for the sender,
/// and the drop reason.
#[cfg_attr(lwtcls_kunit, allow(unused_variables))]
pub(crate) fn exception(
    skb: &SkBuff,
    hook: &'static CStr,
    prog_id: u32,
    ret: u32,
    error: Error,
    reason: DropReason,
) {
    // The tracepoint belongs to the lwtcls module, and the KUnit module may be loaded next to it.
    // SAFETY: All pointers are valid by the references. The callee only reads.
    #[cfg(not(lwtcls_kunit))]
    unsafe {
        super::bindings::lwtcls_trace_exception(
            skb.as_ptr(),
            hook.as_char_ptr(),
            prog_id,
            ret,
            error.to_errno(),
            reason.as_raw(),
        );
    }
}
