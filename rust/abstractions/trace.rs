// SPDX-License-Identifier: GPL-2.0-only

//! The tracepoint `lwtcls:exception`, see `include/lwtcls_trace.h`.

use super::net::skbuff::{
    DropReason,
    SkBuff, //
};
use kernel::prelude::*;

/// Traces a packet that is about to be freed: the hook, the program's id and what it returned, what
/// the packet's sender is told, and the reason. Any context.
#[cfg_attr(lwtcls_kunit, allow(unused_variables))]
pub(crate) fn exception(
    skb: &SkBuff,
    hook: &'static CStr,
    prog_id: u32,
    ret: u32,
    error: Error,
    reason: DropReason,
) {
    // The tracepoint is the module's, which the suites may be loaded beside.
    // SAFETY: All pointers are valid by the references; the callee only reads.
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
