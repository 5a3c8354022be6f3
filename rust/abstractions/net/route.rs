// SPDX-License-Identifier: GPL-2.0-only

//! Attaching routes to packets, and passing packets to their routes.
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
    /// Updates the control block of the IP layer (`IPCB()`, `IP6CB()`) if a program pushed an outer
    /// header. `was_inet` says whether the packet was IPv4 when the IP layer wrote the block.
    ///
    /// The block describes the header that is now the inner one: it has the offsets of its options,
    /// or, if the family differs, other fields. The IP layer uses these offsets without a check,
    /// and writes to where they point. C: `ip_rcv_core()`, `ip6_rcv_core()`.
    #[inline(always)]
    pub(crate) fn update_ip_cb(&mut self, was_inet: bool) {
        // The block of a packet without options is valid for each header of the same family.
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
            // Inline, because this is the most common of these cases: an IPv6 header on an IPv4
            // packet.
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

    /// Returns whether a network header was pushed.
    fn has_pushed_header(&self) -> bool {
        let headers = self.headers_ref();
        headers.encapsulation() != 0 && headers.inner_network_header > headers.network_header
    }

    /// Resets the block to that of a received packet that has the outer header only. Keeps the
    /// input device, and whether it belongs to a VRF.
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

    /// Returns the control block, which belongs to the layer that handles the packet.
    #[inline(always)]
    fn cb(&mut self) -> &mut [c_char; 48] {
        // SAFETY: The packet is valid and exclusively borrowed.
        unsafe { &mut (*self.as_ptr()).cb }
    }

    /// Returns the control block as that of IPv4. C: `IPCB()`.
    #[inline(always)]
    pub(in crate::abstractions) fn inet_cb(&mut self) -> &mut bindings::inet_skb_parm {
        const { assert!(size_of::<bindings::inet_skb_parm>() <= size_of::<[c_char; 48]>()) };
        // SAFETY: The control block is large enough by the assertion, and aligned to 8 bytes. Any
        // bytes are a valid `inet_skb_parm`.
        unsafe { &mut *self.cb().as_mut_ptr().cast() }
    }

    /// Returns the control block as that of IPv6. C: `IP6CB()`.
    #[inline(always)]
    pub(in crate::abstractions) fn inet6_cb(&mut self) -> &mut bindings::inet6_skb_parm {
        const { assert!(size_of::<bindings::inet6_skb_parm>() <= size_of::<[c_char; 48]>()) };
        // SAFETY: The control block is large enough by the assertion, and aligned to 8 bytes. Any
        // bytes are a valid `inet6_skb_parm`.
        unsafe { &mut *self.cb().as_mut_ptr().cast() }
    }

    /// Replaces the route of the packet by the input route for a packet from `dev`. The new route
    /// is not counted: it stays valid for the RCU read-side critical section.
    /// C: `ip_route_input_noref()`.
    ///
    /// Addresses are in network byte order. If the lookup fails, returns its drop reason, and the
    /// packet has no route.
    #[inline(always)]
    pub(crate) fn route_input4(
        &mut self,
        _rcu: &ReadSide<'_>,
        dev: &NetDevice,
        tos: u8,
        saddr: u32,
        daddr: u32,
    ) -> Result<(), DropReason> {
        skb_dst_drop(self);
        // SAFETY: Packet and device are valid by the references. The token shows that this is an
        // RCU read-side critical section.
        let reason = unsafe {
            bindings::ip_route_input_noref(self.as_ptr(), daddr, saddr, dscp(tos), dev.as_ptr())
        };
        if reason == 0 {
            Ok(())
        } else {
            Err(DropReason::from_raw(reason))
        }
    }

    /// Replaces the route of an IPv6 packet by its input route, like [`Self::route_input4`]. The
    /// input device is that of the packet. C: `ip6_route_input()`.
    ///
    /// Fails with
    /// - the errno of an error route,
    /// - `EAFNOSUPPORT` if the kernel has no IPv6, or it is disabled (`ipv6.disable=1`): the lookup
    ///   would read fields of the namespace that are not initialised then,
    /// - `EINVAL` if the IPv6 header is not completely in the linear data, or there is no device.
    #[inline(always)]
    pub(crate) fn route_input6(&mut self, _rcu: &ReadSide<'_>) -> Result {
        if !self.has_network_header::<bindings::ipv6hdr>() || self.dev_ptr().is_null() {
            return Err(EINVAL);
        }
        // SAFETY: An FFI call with no requirements.
        if !unsafe { bindings::ipv6_mod_enabled() } {
            return Err(EAFNOSUPPORT);
        }
        skb_dst_drop(self);
        // SAFETY: The packet is valid by the reference, and has a device and a network header by
        // the checks above. The token shows that this is an RCU read-side critical section.
        unsafe { bindings::ip6_route_input(self.as_ptr()) };
        // SAFETY: The callee always sets a route with a device, if only an error route. It stays
        // valid for the RCU read-side critical section.
        unsafe { Dst::from_raw(skb_dst(self)) }.error()
    }
}

/// Passes a packet to its input route. Consumes the packet. C: `dst_input()`.
///
/// Returns a packet that has no route.
#[inline(always)]
pub(crate) fn input(_rcu: &ReadSide<'_>, skb: Skb) -> Result<Received, Skb> {
    if skb_dst(&skb).is_null() {
        return Err(skb);
    }
    // SAFETY: The packet is owned and passed on. It holds its route, or the route was looked up in
    // the RCU read-side critical section of the token.
    let code = unsafe { bindings::dst_input(skb.into_raw()) };
    Ok(Received::new(code))
}

/// Attaches a route to a packet, and passes the packet to it. Consumes both.
/// C: `dst_output()`, `net_xmit_errno()`.
#[inline(always)]
pub(crate) fn output(rcu: &ReadSide<'_>, mut skb: Skb, found: Found<'_>) -> Sent {
    let net = found.dst(rcu).dev().net();
    skb_dst_drop(&mut skb);
    // SAFETY: The packet was removed from its route above. A route that is not counted stays valid
    // for the RCU read-side critical section: code that queues the packet takes a reference first.
    unsafe { found.attach(&mut skb) };
    // SAFETY: The packet is owned and passed on, and has a route. The namespace of the device stays
    // valid for the RCU read-side critical section.
    Sent::new(unsafe { bindings::dst_output(net, skb.sk(), skb.into_raw()) })
}
