// SPDX-License-Identifier: GPL-2.0-only

//! Output route lookups.
//!
//! C headers: [`include/net/flow.h`](srctree/include/net/flow.h),
//! [`include/net/route.h`](srctree/include/net/route.h),
//! [`include/net/ip6_route.h`](srctree/include/net/ip6_route.h)

use super::{
    dst::{
        Dst,
        DstRef, //
    },
    skbuff::SkBuff, //
};
use crate::abstractions::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*,
    ptr::project, //
};

/// The namespace and the socket that a packet is sent for.
///
/// # Invariants
///
/// `net` is valid for `'a`. `sk` is null or valid for `'a`.
pub(crate) struct FlowOwner<'a> {
    net: *mut bindings::net,
    sk: *mut bindings::sock,
    _lives: PhantomData<(&'a SkBuff, Dst<'a>)>,
}

impl<'a> FlowOwner<'a> {
    /// Returns the socket of the packet, and its namespace. A packet without a socket belongs to
    /// the namespace of its route's device. C: `sk_to_full_sk()`, `sock_net()`, `dev_net()`.
    #[inline(always)]
    pub(crate) fn of(skb: &'a SkBuff, dst: Dst<'a>) -> Self {
        // SAFETY: The packet has no socket, or holds a reference to it.
        let sk = unsafe { bindings::sk_to_full_sk(skb.sk()) };
        let net = if sk.is_null() {
            dst.dev().net()
        } else {
            // SAFETY: The packet holds a reference to its socket.
            unsafe { bindings::sock_net(sk) }
        };
        // INVARIANT: The borrowed packet holds its socket, which holds its namespace. The namespace
        // of a device stays valid for the RCU read-side critical section in which the route is
        // used.
        Self {
            net,
            sk,
            _lives: PhantomData,
        }
    }

    /// Returns the device that the socket is bound to, or 0. C: `sk->sk_bound_dev_if`.
    #[inline(always)]
    pub(crate) fn bound_ifindex(&self) -> c_int {
        if self.sk.is_null() {
            return 0;
        }
        // SAFETY: `sk` is valid by the type invariant.
        unsafe { bindings::sk_bound_dev_if(self.sk) }
    }

    /// Returns whether there are output XFRM policies in the namespace.
    ///
    /// XFRM may then select different routes for packets of the same flow, by the policies of their
    /// sockets.
    #[inline(always)]
    pub(crate) fn has_xfrm_policy(&self) -> bool {
        // SAFETY: `net` is valid by the type invariant.
        unsafe { bindings::xfrm_has_policy_out(self.net) }
    }

    /// Returns the UID of the socket. C: `sock_net_uid()`.
    #[inline(always)]
    fn uid(&self) -> bindings::kuid_t {
        // SAFETY: `net` is valid, and `sk` is null or valid, by the type invariant.
        let val = unsafe { bindings::sock_net_uid(self.net, self.sk) };
        bindings::kuid_t { val }
    }
}

/// An IPv6 address in network byte order, as words because these are copied faster than bytes.
pub(crate) type In6Addr = [u64; 2];

/// Returns the part of the TOS field that affects routing. C: `inet_dsfield_to_dscp()`.
#[inline(always)]
pub(super) fn dscp(tos: u8) -> bindings::dscp_t {
    tos & bindings::INET_DSCP_MASK as u8
}

/// The key of a route lookup. Lookups for equal flows find the same route as long as nothing else
/// changes. All zeroes is a flow that no packet has.
#[derive(Clone, Copy, Zeroable)]
#[repr(C)]
pub(crate) struct Flow {
    /// The address of the namespace. A later namespace may have the same address, but no route of
    /// this one.
    net: usize,
    oif: c_int,
    mark: u32,
    /// The UID of the socket.
    uid: u32,
    /// Family, DSCP, protocol, and the flags [`HAS_SK`] and [`IS_BOUND`].
    kind: u32,
    /// IPv4: the first element has the source in its lower half, and the destination in its upper
    /// half.
    ///
    /// IPv6: the first element has traffic class and flow label in its lower half, and
    /// `rt_genid_ipv6()` in its upper half. Source and destination follow. The generation is needed
    /// because `dst_check()` does not detect that a route is added to a table that is searched
    /// before the table of the cached route.
    addrs: [u64; 5],
}

impl PartialEq for Flow {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let [a0, a1, a2, a3, a4] = self.addrs;
        let [b0, b1, b2, b3, b4] = other.addrs;
        self.net == other.net
            && a0 == b0
            && self.oif == other.oif
            && self.mark == other.mark
            && self.uid == other.uid
            && self.kind == other.kind
            && (self.is_inet() || (a1 == b1 && a2 == b2 && a3 == b3 && a4 == b4))
    }
}

/// Fails with `EINVAL` if an IPv6 packet without a source address has a socket of another family.
/// The lookup would read `srcprefs` through the null pointer that `inet6_sk()` returns.
///
/// Cold, because forwarded packets have no socket.
///
/// # Safety
///
/// `sk` is valid.
#[cold]
#[inline(never)]
unsafe fn check_source(sk: *const bindings::sock, [s0, s1]: In6Addr) -> Result {
    // SAFETY: By the safety requirements of this function.
    if s0 | s1 == 0 && unsafe { bindings::inet6_sk(sk) }.is_null() {
        return Err(EINVAL);
    }
    Ok(())
}

/// Flags: the packet has a socket, and the socket is bound to a device.
const HAS_SK: u8 = 1;
const IS_BOUND: u8 = 2;

impl Flow {
    /// Returns the flow of an IPv4 packet. Addresses are in network byte order.
    ///
    /// `oif` is the required output device, or 0. Only the DSCP of `tos` is used. The source need
    /// not be a local address.
    #[inline(always)]
    pub(crate) fn v4(
        owner: &FlowOwner<'_>,
        oif: c_int,
        mark: u32,
        tos: u8,
        protocol: u8,
        saddr: u32,
        daddr: u32,
    ) -> Self {
        let addrs = u64::from(saddr) | u64::from(daddr) << 32;
        Self::new(
            owner,
            oif,
            mark,
            bindings::AF_INET,
            dscp(tos),
            protocol,
            [addrs, 0, 0, 0, 0],
        )
    }

    /// Returns the flow of an IPv6 packet.
    ///
    /// `flowinfo` is the first word of the header, in network byte order: its traffic class and
    /// flow label are used.
    #[inline(always)]
    pub(crate) fn v6(
        owner: &FlowOwner<'_>,
        oif: c_int,
        mark: u32,
        flowinfo: u32,
        protocol: u8,
        [s0, s1]: In6Addr,
        [d0, d1]: In6Addr,
    ) -> Self {
        let flowinfo = flowinfo & bindings::IPV6_FLOWINFO_MASK;
        // SAFETY: `net` is valid by the invariant of `owner`.
        let genid = unsafe { bindings::rt_genid_ipv6_acquire(owner.net) } as u32;
        let first = u64::from(flowinfo) | u64::from(genid) << 32;
        let addrs = [first, s0, s1, d0, d1];
        Self::new(owner, oif, mark, bindings::AF_INET6, 0, protocol, addrs)
    }

    #[inline(always)]
    fn new(
        owner: &FlowOwner<'_>,
        oif: c_int,
        mark: u32,
        family: u32,
        dscp: bindings::dscp_t,
        protocol: u8,
        addrs: [u64; 5],
    ) -> Self {
        // Without a socket the lookup uses root's UID, which is constant within a namespace.
        let (uid, sk) = if owner.sk.is_null() {
            (0, 0)
        } else if owner.bound_ifindex() == 0 {
            (owner.uid().val, HAS_SK)
        } else {
            (owner.uid().val, HAS_SK | IS_BOUND)
        };
        Self {
            net: owner.net as usize,
            oif,
            mark,
            uid,
            kind: u32::from_ne_bytes([family as u8, dscp, protocol, sk]),
            addrs,
        }
    }

    #[inline(always)]
    fn is_inet(&self) -> bool {
        let [family, ..] = self.kind.to_ne_bytes();
        u32::from(family) == bindings::AF_INET
    }

    /// Returns source and destination of an IPv4 flow.
    #[inline(always)]
    fn addrs4(&self) -> (u32, u32) {
        let [both, ..] = self.addrs;
        (both as u32, (both >> 32) as u32)
    }

    /// Looks up an output route for `skb`, which must be of this flow. Softirq or process context.
    /// C: `ip_route_output_key()`, `ip6_dst_lookup_flow()`.
    ///
    /// Fails with the errno of the lookup, or of the error route that it finds. For IPv6 packets
    /// also fails with
    /// - `EAFNOSUPPORT` if the kernel has no IPv6, or it is disabled (`ipv6.disable=1`),
    /// - `EINVAL` if the packet has no source address, and a socket that is not an IPv6 one.
    #[inline(always)]
    pub(crate) fn lookup(&self, owner: &FlowOwner<'_>, skb: &SkBuff) -> Result<DstRef> {
        const { assert!(size_of::<In6Addr>() == size_of::<bindings::in6_addr>()) };
        let [_, dscp, protocol, _] = self.kind.to_ne_bytes();
        if self.is_inet() {
            // SAFETY: All zeroes are a valid flow.
            let mut fl4: bindings::flowi4 = unsafe { core::mem::zeroed() };
            fl4.__fl_common.flowic_oif = self.oif;
            fl4.__fl_common.flowic_mark = self.mark;
            fl4.__fl_common.flowic_uid = owner.uid();
            fl4.__fl_common.flowic_dscp = dscp;
            fl4.__fl_common.flowic_flags = bindings::FLOWI_FLAG_ANYSRC as u8;
            fl4.__fl_common.flowic_proto = protocol;
            (fl4.saddr, fl4.daddr) = self.addrs4();
            // SAFETY: The namespace is valid by the invariant of `owner`.
            let rt = unsafe { bindings::ip_route_output_key(owner.net, &mut fl4) };
            let dst = project!(mut from_err_ptr(rt)?, .dst);
            // SAFETY: Not an error pointer, so a valid route with a device. The caller owns one
            // reference.
            return unsafe { DstRef::from_raw(dst) }.usable();
        }
        let [flowinfo, s0, s1, d0, d1] = self.addrs;
        // SAFETY: All zeroes are a valid flow.
        let mut fl6: bindings::flowi6 = unsafe { core::mem::zeroed() };
        fl6.__fl_common.flowic_oif = self.oif;
        fl6.__fl_common.flowic_mark = self.mark;
        fl6.__fl_common.flowic_uid = owner.uid();
        fl6.__fl_common.flowic_proto = protocol;
        fl6.flowlabel = flowinfo as u32;
        let (saddr, daddr) = (&raw mut fl6.saddr, &raw mut fl6.daddr);
        // SAFETY: By the assertion, `In6Addr` has the size of the field.
        unsafe { saddr.cast::<In6Addr>().write_unaligned([s0, s1]) };
        // SAFETY: By the assertion, `In6Addr` has the size of the field.
        unsafe { daddr.cast::<In6Addr>().write_unaligned([d0, d1]) };
        let sk = skb.sk();
        if !sk.is_null() {
            // SAFETY: The packet holds a reference to its socket.
            unsafe { check_source(sk, [s0, s1]) }?;
        }
        // SAFETY: The namespace is valid by the invariant of `owner`. The packet has no socket, or
        // holds a reference to it.
        let dst = unsafe { bindings::ip6_dst_lookup_flow(owner.net, sk, &mut fl6, ptr::null()) };
        let dst = from_err_ptr(dst)?;
        // SAFETY: Not an error pointer, so a valid route with a device. The caller owns one
        // reference.
        unsafe { DstRef::from_raw(dst) }.usable()
    }

    /// Returns whether the route is a unicast one that depends on the flow only.
    ///
    /// A packet without a source address depends on the addresses of the host, too, and a multicast
    /// packet on group memberships.
    pub(crate) fn is_unicast(&self) -> bool {
        if self.is_inet() {
            let (saddr, daddr) = self.addrs4();
            let [first, ..] = daddr.to_ne_bytes();
            saddr != 0 && first < 224
        } else {
            let [_, s0, s1, d0, _] = self.addrs;
            let [first, ..] = d0.to_ne_bytes();
            s0 | s1 != 0 && first != 0xff
        }
    }
}
