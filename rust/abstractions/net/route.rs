// SPDX-License-Identifier: GPL-2.0-only

//! Looking routes up, and sending packets on their way.
//!
//! C headers: [`include/net/route.h`](srctree/include/net/route.h),
//! [`include/net/ip6_route.h`](srctree/include/net/ip6_route.h)

use super::{
    dst::{
        Dst,
        DstRef, //
    },
    netdevice::NetDevice,
    skbuff::{
        SkBuff, //
        Skb,
    }, //
};
use crate::abstractions::bindings;
use core::marker::PhantomData;
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

/// A namespace and a user, on whose behalf a packet is sent.
pub(crate) struct Origin<'a> {
    net: *mut bindings::net,
    sk: *mut bindings::sock,
    _packet: PhantomData<&'a SkBuff>,
}

impl<'a> Origin<'a> {
    /// Those of the packet's socket; without one, the namespace of the device that its route leads
    /// out of, and the superuser. C: `sk_to_full_sk()`, `sock_net()`, `dev_net()`.
    #[inline(always)]
    pub(crate) fn of(skb: &'a SkBuff, dst: Dst<'_>) -> Self {
        // SAFETY: The packet is valid, and refers to its socket.
        unsafe {
            let sk = bindings::sk_to_full_sk((*skb.as_ptr()).sk);
            Self {
                net: if sk.is_null() {
                    dst.dev().net()
                } else {
                    bindings::sock_net(sk)
                },
                sk,
                _packet: PhantomData,
            }
        }
    }

    /// The device that the socket is bound to; 0 if there is none. C: `sk->sk_bound_dev_if`.
    #[inline(always)]
    pub(crate) fn bound_ifindex(&self) -> c_int {
        if self.sk.is_null() {
            return 0;
        }
        // SAFETY: Valid as long as the packet is, by which it is borrowed.
        unsafe { bindings::sk_bound_dev_if(self.sk) }
    }
}

/// What an IPv4 route is looked up by. Addresses are in network byte order.
pub(crate) struct Flow4 {
    /// The device that it is to lead out of; 0 if any will do.
    pub(crate) oif: c_int,
    /// The mark of the packet.
    pub(crate) mark: u32,
    /// The type of service, of which the upper six bits count.
    pub(crate) tos: u8,
    /// `IPPROTO_*`.
    pub(crate) protocol: u8,
    /// Where it comes from, which need not be an address of this host.
    pub(crate) saddr: [u8; 4],
    /// Where it goes to.
    pub(crate) daddr: [u8; 4],
}

/// An IPv6 address as it lies in memory, which is copied faster in words than in bytes.
pub(crate) type In6Addr = [u64; 2];

/// What an IPv6 route is looked up by.
pub(crate) struct Flow6 {
    /// The device that it is to lead out of; 0 if any will do.
    pub(crate) oif: c_int,
    /// The mark of the packet.
    pub(crate) mark: u32,
    /// The first four bytes of the header, of which traffic class and flow label count.
    pub(crate) flowinfo: [u8; 4],
    /// `IPPROTO_*`.
    pub(crate) protocol: u8,
    /// Where it comes from.
    pub(crate) saddr: In6Addr,
    /// Where it goes to.
    pub(crate) daddr: In6Addr,
}

/// Looks a route for what is sent up. The errno is that of the lookup. Bottom halves are off, or
/// this is process context. C: `ip_route_output_key()`.
#[inline(always)]
pub(crate) fn output4(origin: &Origin<'_>, flow: &Flow4) -> Result<DstRef> {
    // SAFETY: Namespace and socket are valid by the borrow; the callee reads the rest.
    unsafe {
        let mut fl4: bindings::flowi4 = core::mem::zeroed();
        fl4.__fl_common.flowic_oif = flow.oif;
        fl4.__fl_common.flowic_mark = flow.mark;
        fl4.__fl_common.flowic_uid = bindings::sock_net_uid(origin.net, origin.sk);
        fl4.__fl_common.flowic_dscp = bindings::inet_dsfield_to_dscp(flow.tos);
        fl4.__fl_common.flowic_flags = bindings::FLOWI_FLAG_ANYSRC as u8;
        fl4.__fl_common.flowic_proto = flow.protocol;
        fl4.saddr = u32::from_ne_bytes(flow.saddr);
        fl4.daddr = u32::from_ne_bytes(flow.daddr);
        let rt = from_err_ptr(bindings::ip_route_output_key(origin.net, &mut fl4))?;
        Ok(DstRef::from_raw(&raw mut (*rt).dst))
    }
}

/// As [`output4`], for IPv6. C: `ip6_dst_lookup_flow()`.
#[inline(always)]
pub(crate) fn output6(origin: &Origin<'_>, skb: &SkBuff, flow: &Flow6) -> Result<DstRef> {
    const { assert!(size_of::<In6Addr>() == size_of::<bindings::in6_addr>()) };
    // SAFETY: Namespace, socket and packet are valid by the borrow; the callee reads the rest. The
    // addresses are as large as what is written to them.
    unsafe {
        let mut fl6: bindings::flowi6 = core::mem::zeroed();
        fl6.__fl_common.flowic_oif = flow.oif;
        fl6.__fl_common.flowic_mark = flow.mark;
        fl6.__fl_common.flowic_uid = bindings::sock_net_uid(origin.net, origin.sk);
        fl6.__fl_common.flowic_proto = flow.protocol;
        fl6.flowlabel = u32::from_ne_bytes(flow.flowinfo) & bindings::IPV6_FLOWINFO_MASK;
        (&raw mut fl6.saddr)
            .cast::<In6Addr>()
            .write_unaligned(flow.saddr);
        (&raw mut fl6.daddr)
            .cast::<In6Addr>()
            .write_unaligned(flow.daddr);
        let sk = (*skb.as_ptr()).sk;
        let dst = bindings::ip6_dst_lookup_flow(origin.net, sk, &mut fl6, core::ptr::null());
        Ok(DstRef::from_raw(from_err_ptr(dst)?))
    }
}

impl SkBuff {
    /// Takes the packet off its route, and looks a new one up as if it came in by `dev`. `EINVAL`
    /// if there is none; the packet has no route then. C: `ip_route_input_noref()`.
    #[inline(always)]
    pub(crate) fn route_input4(
        &mut self,
        dev: &NetDevice,
        tos: u8,
        saddr: [u8; 4],
        daddr: [u8; 4],
    ) -> Result {
        let skb = self.as_ptr();
        // SAFETY: Packet and device are valid, and this is an RCU read side, as the device's
        // reference says.
        let reason = unsafe {
            bindings::skb_dst_drop(skb);
            bindings::ip_route_input_noref(
                skb,
                u32::from_ne_bytes(daddr),
                u32::from_ne_bytes(saddr),
                bindings::inet_dsfield_to_dscp(tos),
                dev.as_ptr(),
            )
        };
        if reason == 0 {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// As [`Self::route_input4`], for IPv6, by the device that the packet came in by. The errno is
    /// that of the route. The network header must be there. C: `ip6_route_input()`.
    #[inline(always)]
    pub(crate) fn route_input6(&mut self, _dev: &NetDevice) -> Result {
        let skb = self.as_ptr();
        // SAFETY: As above. The callee always finds a route, if only one that leads nowhere.
        unsafe {
            bindings::skb_dst_drop(skb);
            bindings::ip6_route_input(skb);
            Dst::from_raw(bindings::skb_dst(skb)).error()
        }
    }
}

/// Has a packet take the route that it has on its way in. Consumes it. C: `dst_input()`.
///
/// `None`, and the packet is freed, if it has no route.
#[inline(always)]
pub(crate) fn input(skb: Skb) -> Option<c_int> {
    // SAFETY: The packet is valid, and given away.
    unsafe {
        if bindings::skb_dst(skb.as_ptr()).is_null() {
            return None;
        }
        Some(bindings::dst_input(skb.into_raw()))
    }
}

/// Puts a packet on a route, and has it take that on its way out. Consumes both. Returns 0,
/// `NET_XMIT_*` or an errno. C: `skb_dst_set()`, `dst_output()`.
#[inline(always)]
pub(crate) fn output(skb: Skb, dst: DstRef) -> c_int {
    let net = dst.dst().dev().net();
    let skb = skb.into_raw();
    // SAFETY: Both are valid, and given away.
    unsafe {
        bindings::skb_dst_drop(skb);
        bindings::skb_dst_set(skb, dst.into_raw());
        bindings::dst_output(net, (*skb).sk, skb)
    }
}

/// What a result of [`output`] other than 0 means to whoever sent the packet: an errno, or 0 for a
/// packet that was accepted under protest. C: `net_xmit_errno()`.
pub(crate) fn xmit_errno(result: c_int) -> c_int {
    // SAFETY: An FFI call with no requirements.
    unsafe { bindings::net_xmit_errno(result) }
}
