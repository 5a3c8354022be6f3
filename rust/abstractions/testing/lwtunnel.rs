// SPDX-License-Identifier: GPL-2.0-only

//! What calls an encapsulation, and what it pushes headers to.

use super::skb::skb;
use crate::abstractions::{
    bindings,
    bpf::{
        push_encap,
        ProgMem, //
    },
    net::{
        dst::Dst,
        encap::{
            EncapSkb,
            PushEncap,
            Side, //
        },
        lwtunnel,
        pkt_cls::Verdict,
        skbuff::{
            SkBuff,
            Skb, //
        }, //
    },
    sync::{
        bottom_half::BhDisabled,
        rtnl, //
    },
    uapi::ETH_P_IP, //
};
use core::mem::zeroed;
use kernel::prelude::*;

/// Has `T` push a header, as for a program.
pub(crate) fn push<T: PushEncap>(skb: &mut SkBuff, header: &[u8], side: Side) -> Result {
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: Nobody has pointers into the packet. The header is lent for the call.
    unsafe {
        T::push(
            EncapSkb::new(skb, side),
            ProgMem::from_raw(header.as_ptr(), header.len()),
        )
    }
}

/// Lends bytes as a program does.
pub(crate) fn with_mem<R>(bytes: &[u8], f: impl FnOnce(ProgMem<'_>) -> R) -> R {
    // SAFETY: Lent for the call.
    f(unsafe { ProgMem::from_raw(bytes.as_ptr(), bytes.len()) })
}

/// What the core is told when a handler that took a packet on input answers `code`.
pub(crate) fn received(code: c_int) -> c_int {
    lwtunnel::Received::new(code).into()
}

/// What the core is told when a handler that took a packet on output answers `code`.
pub(crate) fn sent(code: c_int) -> c_int {
    lwtunnel::Sent::new(code).into()
}

/// The answer by which a hook on xmit leaves a packet to the core.
pub(crate) const XMIT_CONTINUE: c_int = bindings::LWTUNNEL_XMIT_CONTINUE as c_int;

/// Says that the transport header of an IPv4 packet is so many bytes from its data.
pub(crate) fn set_transport(skb: &mut SkBuff, offset: u16) {
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: Nobody has pointers into the packet.
    let mut skb = unsafe { EncapSkb::new(skb, Side::Ingress) };
    skb.set_outer(ETH_P_IP, Some(offset));
}

/// Has `T` push the first `len` bytes of the packet, as for a program that lends a slice of it. The
/// result is that of the helper: 0, or an errno.
pub(crate) fn push_own_bytes<T: PushEncap>(skb: &mut SkBuff, len: u32, side: Side) -> c_int {
    assert!(len <= skb.headlen());
    let _guard = kernel::sync::rcu::read_lock();
    let skb = skb.as_ptr();
    // SAFETY: The packet is valid and ours, has so many bytes of linear data, and nobody uses
    // pointers into it afterwards.
    unsafe { push_encap::Adapter::<T>::push(skb, (*skb).data.cast(), len, side) }
}

/// Runs `f` with an IPv4 route over the loopback device, inside of an RCU read side. It does not
/// hold RTNL: an assertion that fails ends its thread, and would keep it.
pub(crate) fn with_dst<R>(f: impl FnOnce(Dst<'_>) -> R) -> Result<R> {
    const LOOPBACK_IFINDEX: c_int = 1;
    // SAFETY: All zeroes are operations that do nothing.
    let mut ops = KBox::<bindings::dst_ops>::new(unsafe { zeroed() }, GFP_KERNEL)?;
    ops.family = bindings::AF_INET as u16;
    // SAFETY: All zeroes are a route of no use but for its device, which the first namespace has for
    // ever, and which is looked for under RTNL.
    let mut dst = unsafe {
        let _rtnl = rtnl::lock();
        let mut dst = KBox::<bindings::dst_entry>::new(zeroed(), GFP_KERNEL)?;
        let net = &raw mut bindings::init_net;
        dst.__bindgen_anon_1.dev = bindings::__dev_get_by_index(net, LOOPBACK_IFINDEX);
        assert!(!dst.__bindgen_anon_1.dev.is_null());
        dst.ops = &raw mut *ops;
        dst
    };
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: The route stays during the call, which is made in a read side.
    Ok(f(unsafe { Dst::from_raw(&mut *dst) }))
}

/// What a hook on xmit did, as the other hooks say it: of a packet that goes on the core has the
/// pointer.
pub(crate) fn xmit(
    skb: Skb,
    hook: impl FnOnce(&BhDisabled<'_>, Skb) -> lwtunnel::Xmit,
) -> Result<lwtunnel::Verdict<lwtunnel::Sent>> {
    const CONTINUE: c_int = bindings::LWTUNNEL_XMIT_CONTINUE as c_int;

    let raw = skb.as_ptr();
    match c_int::from(BhDisabled::with(|bh| hook(bh, skb))) {
        // SAFETY: It goes on, and the hook gave it back to its caller.
        CONTINUE => Ok(lwtunnel::Verdict::Continue(unsafe { Skb::from_raw(raw) })),
        0 => Ok(lwtunnel::Verdict::Consumed(lwtunnel::Sent::OK)),
        errno => Err(Error::from_errno(errno)),
    }
}

/// What a hook did, so that a suite can compare it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The packet goes on.
    Continue,
    /// The packet is elsewhere.
    Consumed(c_int),
    /// The hook failed, with this (negative) errno.
    Error(c_int),
}

impl Outcome {
    /// Drops the packet of a verdict, if it has one.
    pub(crate) fn of<R: Into<c_int>>(verdict: Result<lwtunnel::Verdict<R>>) -> Self {
        match verdict {
            Ok(lwtunnel::Verdict::Continue(_)) => Self::Continue,
            Ok(lwtunnel::Verdict::Consumed(result)) => Self::Consumed(result.into()),
            Err(error) => Self::Error(error.to_errno()),
        }
    }
}
