// SPDX-License-Identifier: GPL-2.0-only

//! Looking up the routes of packets on their way out.
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
    prelude::*, //
};

/// A namespace and a user, on whose behalf a packet is sent.
///
/// # Invariants
///
/// `net` and `sk`, unless it is null, are valid for `'a`.
pub(crate) struct Origin<'a> {
    net: *mut bindings::net,
    sk: *mut bindings::sock,
    _lives: PhantomData<(&'a SkBuff, Dst<'a>)>,
}

impl<'a> Origin<'a> {
    /// Those of the packet's socket; without one, the namespace of the device that its route leads
    /// out of, and the superuser. C: `sk_to_full_sk()`, `sock_net()`, `dev_net()`.
    #[inline(always)]
    pub(crate) fn of(skb: &'a SkBuff, dst: Dst<'a>) -> Self {
        // INVARIANT: The packet, which is borrowed, holds its socket, and that its namespace. That
        // of a device stays for the RCU read side in which the route is used.
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
                _lives: PhantomData,
            }
        }
    }

    /// The device that the socket is bound to; 0 if there is none. C: `sk->sk_bound_dev_if`.
    #[inline(always)]
    pub(crate) fn bound_ifindex(&self) -> c_int {
        if self.sk.is_null() {
            return 0;
        }
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::sk_bound_dev_if(self.sk) }
    }

    /// Whether XFRM may have other routes, for some packets and not for others of the same flow, as
    /// their sockets say.
    #[inline(always)]
    pub(crate) fn has_xfrm_policy(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::xfrm_has_policy_out(self.net) }
    }

    /// C: `sock_net_uid()`.
    #[inline(always)]
    fn uid(&self) -> bindings::kuid_t {
        // SAFETY: Both are valid by the type invariant.
        unsafe { bindings::sock_net_uid(self.net, self.sk) }
    }
}

/// An IPv6 address as it lies in memory, which is copied faster in words than in bytes.
pub(crate) type In6Addr = [u64; 2];

/// The part of the type of service that routes are looked up by. C: `inet_dsfield_to_dscp()`.
#[inline(always)]
pub(super) fn dscp(tos: u8) -> bindings::dscp_t {
    tos & bindings::INET_DSCP_MASK as u8
}

/// What a route is looked up by, for packets of one namespace. Equal ones find the same route while
/// nothing else changes. Zero is a flow that no packet has.
#[derive(Clone, Copy, Zeroable)]
#[repr(C)]
pub(crate) struct Flow {
    /// The address of the namespace, which another one can have later, but no route of this one.
    net: usize,
    oif: c_int,
    mark: u32,
    /// The user of the socket.
    uid: u32,
    /// Family, DSCP, protocol, and what there is of a socket.
    kind: u32,
    /// Of IPv4, the source in the lower half of the first one, and the destination in the upper.
    ///
    /// Of IPv6, the source and the destination; before them, in the lower half of the first one, traffic
    /// class and flow label, and in the upper how often routes have changed: a route of IPv6 is not told
    /// if one is added in a table that is looked at before its own.
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

/// `EINVAL` for a packet without a source address whose socket is not one of IPv6: a lookup would ask that
/// socket which source it prefers, by a null pointer.
///
/// Out of the way of packets that are forwarded, which have no socket.
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

/// Whether there is a socket, and whether it is bound to a device.
const HAS_SK: u8 = 1;
const IS_BOUND: u8 = 2;

impl Flow {
    /// A packet of IPv4, with addresses in network byte order. `oif` is the device that the route is to
    /// lead out of, 0 if any will do. Of the type of service the upper six bits count. The source need
    /// not be an address of this host.
    #[inline(always)]
    pub(crate) fn v4(
        origin: &Origin<'_>,
        oif: c_int,
        mark: u32,
        tos: u8,
        protocol: u8,
        saddr: u32,
        daddr: u32,
    ) -> Self {
        let addrs = u64::from(saddr) | u64::from(daddr) << 32;
        Self::new(
            origin,
            oif,
            mark,
            bindings::AF_INET,
            dscp(tos),
            protocol,
            [addrs, 0, 0, 0, 0],
        )
    }

    /// A packet of IPv6. Of the first four bytes of its header, in network byte order, traffic class and
    /// flow label count.
    #[inline(always)]
    pub(crate) fn v6(
        origin: &Origin<'_>,
        oif: c_int,
        mark: u32,
        flowinfo: u32,
        protocol: u8,
        [s0, s1]: In6Addr,
        [d0, d1]: In6Addr,
    ) -> Self {
        let flowinfo = flowinfo & bindings::IPV6_FLOWINFO_MASK;
        // SAFETY: Valid by the invariant of `origin`.
        let genid = unsafe { bindings::rt_genid_ipv6(origin.net) } as u32;
        let first = u64::from(flowinfo) | u64::from(genid) << 32;
        let addrs = [first, s0, s1, d0, d1];
        Self::new(origin, oif, mark, bindings::AF_INET6, 0, protocol, addrs)
    }

    #[inline(always)]
    fn new(
        origin: &Origin<'_>,
        oif: c_int,
        mark: u32,
        family: u32,
        dscp: bindings::dscp_t,
        protocol: u8,
        addrs: [u64; 5],
    ) -> Self {
        // Where there is no socket it is the superuser, who is the same for all of a namespace.
        let (uid, sk) = if origin.sk.is_null() {
            (0, 0)
        } else if origin.bound_ifindex() == 0 {
            (origin.uid().val, HAS_SK)
        } else {
            (origin.uid().val, HAS_SK | IS_BOUND)
        };
        Self {
            net: origin.net as usize,
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

    /// Source and destination, of an IPv4 flow.
    #[inline(always)]
    fn addrs4(&self) -> (u32, u32) {
        let [both, ..] = self.addrs;
        (both as u32, (both >> 32) as u32)
    }

    /// Looks up an output route for `skb`, whose flow this is. Softirq or process context.
    ///
    /// The errno is that of the lookup, or of the route that it has found, if that leads nowhere;
    /// `EAFNOSUPPORT` for an IPv6 packet in a kernel that was booted with `ipv6.disable=1`; `EINVAL`
    /// for one without a source address whose socket is not one of IPv6.
    /// C: `ip_route_output_key()`, `ip6_dst_lookup_flow()`.
    #[inline(always)]
    pub(crate) fn look_up(&self, origin: &Origin<'_>, skb: &SkBuff) -> Result<DstRef> {
        const { assert!(size_of::<In6Addr>() == size_of::<bindings::in6_addr>()) };
        let [_, dscp, protocol, _] = self.kind.to_ne_bytes();
        // SAFETY: Namespace and socket are valid by the invariant of `origin`, the packet by the
        // reference; the callees read the rest. The addresses are as large as what is written to them.
        // A route that is no error is valid, has a device, and comes with a reference.
        unsafe {
            if self.is_inet() {
                let mut fl4: bindings::flowi4 = core::mem::zeroed();
                fl4.__fl_common.flowic_oif = self.oif;
                fl4.__fl_common.flowic_mark = self.mark;
                fl4.__fl_common.flowic_uid = origin.uid();
                fl4.__fl_common.flowic_dscp = dscp;
                fl4.__fl_common.flowic_flags = bindings::FLOWI_FLAG_ANYSRC as u8;
                fl4.__fl_common.flowic_proto = protocol;
                (fl4.saddr, fl4.daddr) = self.addrs4();
                let rt = from_err_ptr(bindings::ip_route_output_key(origin.net, &mut fl4))?;
                return DstRef::from_raw(&raw mut (*rt).dst).usable();
            }
            let [flowinfo, s0, s1, d0, d1] = self.addrs;
            let mut fl6: bindings::flowi6 = core::mem::zeroed();
            fl6.__fl_common.flowic_oif = self.oif;
            fl6.__fl_common.flowic_mark = self.mark;
            fl6.__fl_common.flowic_uid = origin.uid();
            fl6.__fl_common.flowic_proto = protocol;
            fl6.flowlabel = flowinfo as u32;
            (&raw mut fl6.saddr)
                .cast::<In6Addr>()
                .write_unaligned([s0, s1]);
            (&raw mut fl6.daddr)
                .cast::<In6Addr>()
                .write_unaligned([d0, d1]);
            let sk = (*skb.as_ptr()).sk;
            if !sk.is_null() {
                check_source(sk, [s0, s1])?;
            }
            let dst = bindings::ip6_dst_lookup_flow(origin.net, sk, &mut fl6, ptr::null());
            DstRef::from_raw(from_err_ptr(dst)?).usable()
        }
    }

    /// Whether the route is for one host, and depends on no more than the flow: not on which addresses
    /// there are, or on who has joined a group.
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
