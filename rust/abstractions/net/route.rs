// SPDX-License-Identifier: GPL-2.0-only

//! Putting packets on routes, and sending them on their way.
//!
//! C headers: [`include/net/route.h`](srctree/include/net/route.h),
//! [`include/net/ip6_route.h`](srctree/include/net/ip6_route.h)

use super::{
    dst::{
        skb_dst,
        skb_dst_drop,
        Dst,
        Found, //
    },
    flow::dscp,
    lwtunnel::{
        Received,
        Sent, //
    },
    netdevice::NetDevice,
    skbuff::{
        DropReason,
        SkBuff,
        Skb, //
    }, //
};
use crate::abstractions::{
    bindings,
    compat::EAFNOSUPPORT,
    sync::rcu::ReadSide,
    uapi::ETH_P_IP, //
};
use core::mem::offset_of;
use kernel::prelude::*;

impl SkBuff {
    /// Makes the IP layer's control block one of the header that the packet begins with now.
    /// `was_inet` says whether the packet was an IPv4 one when the IP layer wrote the block.
    ///
    /// A program that pushes a header leaves in the block what was read out of the inner one: where
    /// that has its options, or, if it is of the other family, fields that mean something else. The IP
    /// layer goes by these offsets without a check, and writes to where they lead.
    /// C: `ip_rcv_core()`, `ip6_rcv_core()`.
    #[inline(always)]
    pub(crate) fn update_ip_cb(&mut self, was_inet: bool) {
        // That of the same family, without options, is right whatever was pushed.
        match (was_inet, self.protocol_be() == ETH_P_IP) {
            (true, true) => {
                if self.inet_cb().opt.optlen != 0 {
                    self.renew_ip_cb(true, true);
                }
            }
            (false, false) => {
                if u32::from(self.inet6_cb().flags) & bindings::IP6SKB_HOPBYHOP != 0 {
                    self.renew_ip_cb(false, false);
                }
            }
            // What most have asked for of these: an IPv6 header in front of an IPv4 packet.
            (true, false) => self.reset_ip_cb(true, false),
            (false, true) => self.renew_ip_cb(false, true),
        }
    }

    #[cold]
    #[inline(never)]
    fn renew_ip_cb(&mut self, was_inet: bool, is_inet: bool) {
        if was_inet != is_inet || self.has_pushed_header() {
            self.reset_ip_cb(was_inet, is_inet);
        }
    }

    /// Whether there is a network header in front of the one that the packet came with.
    fn has_pushed_header(&self) -> bool {
        let headers = self.headers_ref();
        headers.encapsulation() != 0 && headers.inner_network_header > headers.network_header
    }

    /// As if the packet had been received with its header of now, by the device that it was received
    /// by.
    #[inline(always)]
    fn reset_ip_cb(&mut self, was_inet: bool, is_inet: bool) {
        let (iif, is_l3_slave) = if was_inet {
            let cb = self.inet_cb();
            (cb.iif, u32::from(cb.flags) & bindings::IPSKB_L3SLAVE != 0)
        } else {
            let cb = self.inet6_cb();
            (cb.iif, u32::from(cb.flags) & bindings::IP6SKB_L3SLAVE != 0)
        };
        self.cb()[..const { size_of::<bindings::inet_skb_parm>() }].fill(0);
        self.cb()[..const { size_of::<bindings::inet6_skb_parm>() }].fill(0);
        if is_inet {
            let cb = self.inet_cb();
            cb.iif = iif;
            if is_l3_slave {
                cb.flags = bindings::IPSKB_L3SLAVE as u16;
            }
        } else {
            let cb = self.inet6_cb();
            cb.iif = iif;
            cb.nhoff = const { offset_of!(bindings::ipv6hdr, nexthdr) as u16 };
            if is_l3_slave {
                cb.flags = bindings::IP6SKB_L3SLAVE as u16;
            }
        }
    }

    /// The control block, which belongs to the layer that has the packet.
    #[inline(always)]
    fn cb(&mut self) -> &mut [c_char; 48] {
        // SAFETY: The packet is valid and ours by `&mut`.
        unsafe { &mut (*self.as_ptr()).cb }
    }

    /// The control block as one of IPv4. C: `IPCB()`.
    #[inline(always)]
    pub(in crate::abstractions) fn inet_cb(&mut self) -> &mut bindings::inet_skb_parm {
        const { assert!(size_of::<bindings::inet_skb_parm>() <= size_of::<[c_char; 48]>()) };
        // SAFETY: The control block is aligned to 8 bytes and has the room, by the above; any bytes
        // are one of IPv4.
        unsafe { &mut *self.cb().as_mut_ptr().cast() }
    }

    /// The control block as one of IPv6. C: `IP6CB()`.
    #[inline(always)]
    pub(in crate::abstractions) fn inet6_cb(&mut self) -> &mut bindings::inet6_skb_parm {
        const { assert!(size_of::<bindings::inet6_skb_parm>() <= size_of::<[c_char; 48]>()) };
        // SAFETY: The control block is aligned to 8 bytes and has the room, by the above; any bytes
        // are one of IPv6.
        unsafe { &mut *self.cb().as_mut_ptr().cast() }
    }

    /// Takes the packet off its route, and looks up the one that it would have if it came in by
    /// `dev`. If there is none, the kernel says why; the packet has no route then. The route stays
    /// for the RCU read side. Addresses are in network byte order. C: `ip_route_input_noref()`.
    #[inline(always)]
    pub(crate) fn route_input4(
        &mut self,
        _rcu: &ReadSide<'_>,
        dev: &NetDevice,
        tos: u8,
        saddr: u32,
        daddr: u32,
    ) -> Result<(), DropReason> {
        let skb = self.as_ptr();
        // SAFETY: Packet and device are valid by the references, and this is an RCU read side by the
        // token.
        let reason = unsafe {
            skb_dst_drop(skb);
            bindings::ip_route_input_noref(skb, daddr, saddr, dscp(tos), dev.as_ptr())
        };
        if reason == 0 {
            Ok(())
        } else {
            Err(DropReason::from_raw(reason))
        }
    }

    /// As [`Self::route_input4`], for IPv6, by the device that the packet came in by. The errno is
    /// that of the route; `EAFNOSUPPORT` in a kernel that was booted with `ipv6.disable=1`, whose
    /// namespaces lack what the lookup reads; `EINVAL` if the IPv6 header is not all in the linear
    /// data, or there is no device. C: `ip6_route_input()`.
    #[inline(always)]
    pub(crate) fn route_input6(&mut self, _rcu: &ReadSide<'_>) -> Result {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid by the reference, has device and header by the checks, and
        // this is an RCU read side by the token. The callee always finds a route, if only one that
        // leads nowhere; it has a device. What is looked at first is set at boot.
        unsafe {
            if bindings::disable_ipv6_mod != 0 {
                return Err(EAFNOSUPPORT);
            }
            if !self.has_network_header::<bindings::ipv6hdr>() || self.dev_ptr().is_null() {
                return Err(EINVAL);
            }
            skb_dst_drop(skb);
            bindings::ip6_route_input(skb);
            Dst::from_raw(skb_dst(skb)).error()
        }
    }
}

/// Has a packet take the route that it has on its way in. Consumes it. C: `dst_input()`.
///
/// Gives a packet back that has no route.
#[inline(always)]
pub(crate) fn input(_rcu: &ReadSide<'_>, skb: Skb) -> Result<Received, Skb> {
    // SAFETY: The packet is valid, and given away. Its route is held, or was found in an RCU read
    // side that lasts, by the token.
    unsafe {
        if skb_dst(skb.as_ptr()).is_null() {
            return Err(skb);
        }
        Ok(Received::new(bindings::dst_input(skb.into_raw())))
    }
}

/// Puts a packet on a route, and has it take that on its way out. Consumes both.
/// C: `dst_output()`, `net_xmit_errno()`.
#[inline(always)]
pub(crate) fn output(rcu: &ReadSide<'_>, skb: Skb, found: Found<'_>) -> Sent {
    let net = found.dst(rcu).dev().net();
    let skb = skb.into_raw();
    // SAFETY: Both are valid, and given away. The namespace of the device stays for the RCU read
    // side, and so does a route that is not held: whoever keeps the packet for longer holds it.
    Sent::new(unsafe {
        skb_dst_drop(skb);
        found.attach(skb);
        bindings::dst_output(net, (*skb).sk, skb)
    })
}
