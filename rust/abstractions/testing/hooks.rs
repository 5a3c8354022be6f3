// SPDX-License-Identifier: GPL-2.0-only

//! Calls of an encapsulation and of its helper.

use crate::abstractions::{
    bindings,
    bpf::{
        push_encap,
        ProgMem, //
    },
    net::{
        dst::Dst,
        encap::{
            Direction,
            EncapSkb,
            PushEncap, //
        },
        lwtunnel,
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

/// Calls `T` to push a header, as for a program.
pub(crate) fn push<T: PushEncap>(skb: &mut SkBuff, header: &[u8], direction: Direction) -> Result {
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: There are no pointers into the packet.
    let skb = unsafe { EncapSkb::new(skb, direction) };
    with_mem(header, |header| T::push(skb, header))
}

/// Calls `f` with bytes, as if they were memory of a program.
pub(crate) fn with_mem<R>(bytes: &[u8], f: impl FnOnce(ProgMem<'_>) -> R) -> R {
    // SAFETY: The bytes are borrowed for the call.
    f(unsafe { ProgMem::from_raw(bytes.as_ptr(), bytes.len()) })
}

/// Returns what the core gets if a handler that consumed a packet on input returns `code`.
pub(crate) fn received(code: c_int) -> c_int {
    lwtunnel::Received::new(code).into()
}

/// Returns what the core gets if a handler that consumed a packet on output returns `code`.
pub(crate) fn sent(code: c_int) -> c_int {
    lwtunnel::Sent::new(code).into()
}

/// The return value by which a hook on xmit leaves the packet to the core.
pub(crate) const XMIT_CONTINUE: c_int = bindings::LWTUNNEL_XMIT_CONTINUE as c_int;

/// Sets the transport header of an IPv4 packet, at an offset from its data.
pub(crate) fn set_transport(skb: &mut SkBuff, offset: u16) {
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: There are no pointers into the packet.
    let mut skb = unsafe { EncapSkb::new(skb, Direction::Ingress) };
    skb.set_outer(ETH_P_IP, Some(offset));
}

/// Calls `T` to push the first `len` bytes of the packet itself, as for a program that passes a
/// slice of a dynptr. Returns the result of the helper: 0 or a negative errno.
pub(crate) fn push_own_bytes<T: PushEncap>(
    skb: &mut SkBuff,
    len: u32,
    direction: Direction,
) -> c_int {
    assert!(len <= skb.headlen());
    let _guard = kernel::sync::rcu::read_lock();
    let data = skb.data().cast();
    // SAFETY: The packet is valid, exclusively borrowed, and has that many bytes of linear data.
    // Pointers into it are not used afterwards.
    unsafe { push_encap::Adapter::<T>::push(skb.as_ptr(), data, len, direction) }
}

/// Runs `f` with a minimal IPv4 `dst_entry` on the loopback device, in an RCU read-side critical
/// section. It is not part of an `rtable`.
///
/// Does not hold RTNL meanwhile: a failed assertion ends the thread, which would never release it.
pub(crate) fn with_dst<R>(f: impl FnOnce(Dst<'_>) -> R) -> Result<R> {
    const LOOPBACK_IFINDEX: c_int = 1;
    // SAFETY: All zeroes are valid `dst_ops` without callbacks.
    let mut ops = KBox::<bindings::dst_ops>::new(unsafe { zeroed() }, GFP_KERNEL)?;
    ops.family = bindings::AF_INET as u16;
    // SAFETY: All zeroes are a valid `dst_entry`, as far as the code under test uses it.
    let mut dst = KBox::<bindings::dst_entry>::new(unsafe { zeroed() }, GFP_KERNEL)?;
    let dev = {
        let _rtnl = rtnl::lock();
        let net = &raw mut bindings::init_net;
        // SAFETY: RTNL is held. The device is that of the initial namespace, which exists forever.
        unsafe { bindings::__dev_get_by_index(net, LOOPBACK_IFINDEX) }
    };
    assert!(!dev.is_null());
    dst.__bindgen_anon_1.dev = dev;
    dst.ops = &raw mut *ops;
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: The route is valid during the call, which is inside a read-side critical section.
    Ok(f(unsafe { Dst::from_raw(&mut *dst) }))
}

/// Calls a hook on xmit. Returns its result as a [`lwtunnel::Verdict`], like that of the other
/// hooks, with the packet if it goes on.
pub(crate) fn xmit(
    skb: Skb,
    hook: impl FnOnce(&BhDisabled<'_>, Skb) -> lwtunnel::Xmit,
) -> Result<lwtunnel::Verdict<lwtunnel::Sent>> {
    const CONTINUE: c_int = bindings::LWTUNNEL_XMIT_CONTINUE as c_int;

    let raw = skb.as_ptr();
    match c_int::from(BhDisabled::with(|bh| hook(bh, skb))) {
        // SAFETY: The hook left the packet, which goes on, to its caller.
        CONTINUE => Ok(lwtunnel::Verdict::Continue(unsafe { Skb::from_raw(raw) })),
        0 => Ok(lwtunnel::Verdict::Consumed(lwtunnel::Sent::OK)),
        errno => Err(Error::from_errno(errno)),
    }
}

/// The result of a hook, in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The core continues with the packet.
    Continue,
    /// The packet was consumed, with this result.
    Consumed(c_int),
    /// The hook failed with this (negative) errno.
    Error(c_int),
}

impl Outcome {
    /// Converts a verdict. Drops its packet, if it has one.
    pub(crate) fn of<R: Into<c_int>>(verdict: Result<lwtunnel::Verdict<R>>) -> Self {
        match verdict {
            Ok(lwtunnel::Verdict::Continue(_)) => Self::Continue,
            Ok(lwtunnel::Verdict::Consumed(result)) => Self::Consumed(result.into()),
            Err(error) => Self::Error(error.to_errno()),
        }
    }
}
