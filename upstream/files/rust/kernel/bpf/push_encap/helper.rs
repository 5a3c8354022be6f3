// SPDX-License-Identifier: GPL-2.0-only

//! The hook of `bpf_lwt_push_encap()`.
//!
//! C header: [`include/net/lwt_bpf.h`](srctree/include/net/lwt_bpf.h)

use super::Adapter;
use crate::{
    bindings,
    error::to_result,
    net::encap::{
        Direction,
        PushEncap, //
    },
    prelude::*, //
};

/// Implements the helper for `BPF_LWT_ENCAP_IP` while the value lives.
pub struct Helper(());

impl Helper {
    /// Makes the helper call `T`. Fails with `EBUSY` if it calls another one. Process context.
    pub fn register<T: PushEncap>() -> Result<Self> {
        // SAFETY: `push` does what the hook is for, and stays valid until the drop.
        to_result(unsafe { bindings::bpf_lwt_push_encap_register(Some(push::<T>)) })?;
        Ok(Self(()))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // SAFETY: Registered by `register`. The callee waits for programs that still run.
        unsafe { bindings::bpf_lwt_push_encap_unregister() };
    }
}

/// # Safety
///
/// Called by the helper, with the packet of the program, and a header that the verifier checked.
unsafe extern "C" fn push<T: PushEncap>(
    skb: *mut bindings::sk_buff,
    hdr: *mut c_void,
    len: u32,
    ingress: bool,
) -> c_int {
    let direction = if ingress {
        Direction::Ingress
    } else {
        Direction::Egress
    };
    // SAFETY: By the safety requirements of this function.
    unsafe { Adapter::<T>::push(skb, hdr, len, direction) }
}
