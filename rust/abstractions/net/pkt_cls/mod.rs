// SPDX-License-Identifier: GPL-2.0-only

//! Traffic classifiers.
//!
//! Implement [`Classifier`], keep its filters in a [`FilterTable`], and hold a [`Registration`].
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

mod adapter;
mod table;

pub(crate) use adapter::Registration;
pub(crate) use table::{
    Entry,
    FilterTable,
    Handle, //
};

use super::{
    netlink::{
        Attrs,
        ExtAck,
        Message, //
    },
    skbuff::SkBuff, //
};
use crate::abstractions::{
    bindings,
    bpf::RunContext,
    sync::{
        rcu::ReadSide,
        rtnl::Rtnl, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// What becomes of a packet (`TC_ACT_*`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action(pub(crate) c_int);

impl Action {
    /// No verdict: the next filter is asked.
    pub(crate) const UNSPEC: Self = Self(bindings::TC_ACT_UNSPEC);
    /// Go on, and ask no further filter.
    pub(crate) const OK: Self = Self(bindings::TC_ACT_OK as c_int);
    /// Drop.
    pub(crate) const SHOT: Self = Self(bindings::TC_ACT_SHOT as c_int);
    /// Somebody took the packet.
    pub(crate) const STOLEN: Self = Self(bindings::TC_ACT_STOLEN as c_int);
    /// Go where `bpf_redirect()` said.
    pub(crate) const REDIRECT: Self = Self(bindings::TC_ACT_REDIRECT as c_int);
    /// As [`Self::STOLEN`], by a device that trapped it.
    pub(crate) const TRAP: Self = Self(bindings::TC_ACT_TRAP as c_int);
}

/// Bits of `TCA_BPF_FLAGS_GEN` and its like, common to all classifiers.
pub(crate) mod flags {
    use crate::abstractions::bindings;

    /// The user wants it in no device.
    pub(crate) const SKIP_HW: u32 = bindings::TCA_CLS_FLAGS_SKIP_HW;
    /// The user wants it nowhere but in devices.
    pub(crate) const SKIP_SW: u32 = bindings::TCA_CLS_FLAGS_SKIP_SW;
    /// No device has it (reported only).
    pub(crate) const NOT_IN_HW: u32 = bindings::TCA_CLS_FLAGS_NOT_IN_HW;
}

/// The attributes of a filter request (`TCA_*`).
pub(crate) type Tca<'a> = Attrs<'a, { bindings::__TCA_MAX as usize }>;

/// An instance of a classifier: one priority and protocol of one chain. C: `struct tcf_proto`.
#[repr(transparent)]
pub(crate) struct Proto(Opaque<bindings::tcf_proto>);

impl Proto {
    /// # Safety
    ///
    /// `tp` is valid for `'a`.
    pub(in crate::abstractions) unsafe fn from_raw<'a>(tp: *mut bindings::tcf_proto) -> &'a Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &*tp.cast() }
    }

    /// Tells the devices of the block to leave the dst on packets.
    /// C: `tcf_block_netif_keep_dst()`.
    pub(crate) fn keep_dst(&self, _rtnl: &Rtnl) {
        // SAFETY: An instance has a chain, and that a block, for as long as it lives.
        unsafe { bindings::tcf_block_netif_keep_dst((*(*self.0.get()).chain).block) };
    }

    /// Notes that a filter with these generic flags wants software.
    /// C: `tcf_proto_update_usesw()`.
    pub(crate) fn update_usesw(&self, _rtnl: &Rtnl, flags: u32) {
        // SAFETY: Valid by the reference, serialised by RTNL.
        unsafe { bindings::tcf_proto_update_usesw(self.0.get(), flags) };
    }
}

/// A change of a qdisc's classes that a filter may care about. C: the arguments of `bind_class`.
pub(crate) struct ClassChange<'a> {
    classid: u32,
    class: c_ulong,
    qdisc: *mut c_void,
    base: c_ulong,
    _call: PhantomData<&'a ()>,
}

/// The class that a filter sends packets to, and its tie to the qdisc that has the class.
/// C: `struct tcf_result` with `tcf_bind_filter()`.
///
/// A class that a filter is bound to cannot be deleted.
pub(crate) struct BoundClass {
    classid: u32,
    result: Opaque<bindings::tcf_result>,
}

// SAFETY: `result` is only touched with RTNL held, by way of a token of it.
unsafe impl Send for BoundClass {}

// SAFETY: As above.
unsafe impl Sync for BoundClass {}

impl BoundClass {
    /// A class by number (`major << 16 | minor`), not yet tied to anything. 0 is none.
    pub(crate) fn new(classid: u32) -> Self {
        Self {
            classid,
            result: Opaque::new(bindings::tcf_result {
                __bindgen_anon_1: bindings::tcf_result__bindgen_ty_1 {
                    __bindgen_anon_1: bindings::tcf_result__bindgen_ty_1__bindgen_ty_1 {
                        class: 0,
                        classid,
                    },
                },
            }),
        }
    }

    /// The number.
    #[inline(always)]
    pub(crate) fn classid(&self) -> u32 {
        self.classid
    }

    /// Ties it to the class of that number, if the qdisc has one. `base` is the class whose
    /// filters are changed.
    pub(crate) fn bind(&self, _rtnl: &Rtnl, tp: &Proto, base: c_ulong) {
        // SAFETY: Both are valid by reference, and serialised by RTNL.
        unsafe { bindings::tcf_bind_filter(tp.0.get(), self.result.get(), base) };
    }

    /// Unties it. Does nothing if it is not tied.
    pub(crate) fn unbind(&self, _rtnl: &Rtnl, tp: &Proto) {
        // SAFETY: Both are valid by reference, and serialised by RTNL.
        unsafe { bindings::tcf_unbind_filter(tp.0.get(), self.result.get()) };
    }

    /// Follows a class that came or goes.
    pub(crate) fn rebind(&self, _rtnl: &Rtnl, change: &ClassChange<'_>) {
        // SAFETY: The result is valid and serialised by RTNL; the rest is the core's, passed on.
        unsafe {
            bindings::tc_cls_bind_class(
                change.classid,
                change.class,
                change.qdisc,
                self.result.get(),
                change.base,
            )
        };
    }
}

/// Where a classifier says which class a packet belongs to.
#[repr(transparent)]
pub(crate) struct ClassResult(Opaque<bindings::tcf_result>);

impl ClassResult {
    /// A class by its number, for the qdisc to look up.
    #[inline(always)]
    pub(crate) fn set_classid(&mut self, classid: u32) {
        let result = self.0.get();
        // SAFETY: Valid and ours by `&mut`.
        unsafe {
            (*result).__bindgen_anon_1.__bindgen_anon_1.class = 0;
            (*result).__bindgen_anon_1.__bindgen_anon_1.classid = classid;
        }
    }
}

/// A packet on its way through tc: its control block is a `qdisc_skb_cb`.
#[repr(transparent)]
pub(crate) struct TcSkb(SkBuff);

impl TcSkb {
    /// # Safety
    ///
    /// `skb` is a packet that tc classifies, and nobody else touches its fields during `'a`.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw_mut<'a>(
        skb: *mut bindings::sk_buff,
    ) -> &'a mut Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &mut *skb.cast() }
    }

    /// Whether the packet comes in (and its data begins at the network header).
    #[inline(always)]
    pub(crate) fn at_ingress(&self) -> bool {
        // SAFETY: The packet is valid.
        unsafe { bindings::skb_at_tc_ingress(self.0.as_ptr()) }
    }

    /// The minor class number that programs see and set as `tc_classid`.
    #[inline(always)]
    pub(crate) fn tc_classid(&self) -> u16 {
        // SAFETY: The packet is valid, and has such a control block by the type.
        unsafe { (*bindings::qdisc_skb_cb(self.0.as_ptr())).tc_classid }
    }

    /// Sets [`Self::tc_classid`].
    #[inline(always)]
    pub(crate) fn set_tc_classid(&mut self, minor: u16) {
        // SAFETY: The packet is valid, and has such a control block by the type.
        unsafe { (*bindings::qdisc_skb_cb(self.0.as_ptr())).tc_classid = minor };
    }

    /// The packet as it is.
    #[inline(always)]
    pub(crate) fn skb(&mut self) -> &mut SkBuff {
        &mut self.0
    }

    /// Lends the packet with its data beginning at the link header, as programs on ingress expect
    /// it. The packet may be shared.
    #[inline(always)]
    pub(crate) fn with_mac_header<R>(&mut self, f: impl FnOnce(&mut SkBuff) -> R) -> R {
        let skb = self.0.as_ptr();
        // SAFETY: The packet is valid. On its way in the link header lies in front of the data; a
        // program may change its length, and `mac_len` with it.
        unsafe { bindings::__skb_push(skb, (*skb).mac_len.into()) };
        let result = f(&mut self.0);
        // SAFETY: As above.
        unsafe { bindings::__skb_pull(skb, (*skb).mac_len.into()) };
        result
    }

    /// Makes a packet without a time stamp say so in the type of the stamp too: a program may have
    /// cleared the one and left the other.
    #[inline(always)]
    pub(crate) fn normalise_tstamp(&mut self) {
        let skb = self.0.as_ptr();
        // SAFETY: The packet is valid, and ours by `&mut`.
        unsafe {
            if (*skb).__bindgen_anon_2.tstamp == 0 {
                let headers = (*skb).__bindgen_anon_4.headers.as_mut();
                if headers.tstamp_type() != 0 {
                    headers.set_tstamp_type(bindings::skb_tstamp_type_SKB_CLOCK_REALTIME as u8);
                }
            }
        }
    }
}

/// A request to add a filter or to change one.
pub(crate) struct Change<'a, F> {
    /// The instance that it is for.
    pub(crate) tp: &'a Proto,
    /// The handle that the user named; 0 if none.
    pub(crate) handle: u32,
    /// The class whose filters are changed.
    pub(crate) base: c_ulong,
    /// The request.
    pub(crate) tca: &'a Tca<'a>,
    /// The filter that has the handle already.
    pub(crate) old: Option<&'a F>,
}

/// Visits filters on behalf of the core.
pub(crate) struct Walker<'a> {
    tp: *mut bindings::tcf_proto,
    walker: *mut bindings::tcf_walker,
    _call: PhantomData<&'a ()>,
}

impl Walker<'_> {
    /// Shows a filter to the core. Returns whether it wants more. C: `tc_cls_stats_dump()`.
    pub(crate) fn visit<F>(&mut self, filter: &F) -> bool {
        // SAFETY: Both pointers are the core's, valid during its call of `walk`. What the core
        // gets for the filter is what `get` would give it.
        unsafe {
            bindings::tc_cls_stats_dump(
                self.tp,
                self.walker,
                core::ptr::from_ref(filter).cast_mut().cast(),
            )
        }
    }
}

/// A classifier. C: `struct tcf_proto_ops`.
///
/// A value of the type is the root of each instance ([`Proto`]). All methods but
/// [`Self::classify`] run in process context with RTNL held, which serialises them.
#[vtable]
pub(crate) trait Classifier: Sized + Send + Sync {
    /// What `tc filter add ... KIND` says. At most 15 bytes.
    const KIND: &'static CStr;

    /// A filter. It is freed with RTNL held, after a grace period.
    type Filter: Send + Sync;

    /// A new instance. C: `init`.
    fn init() -> impl PinInit<Self, Error>;

    /// Decides about a packet. C: `classify`. Bottom halves are off.
    fn classify(
        &self,
        skb: &mut TcSkb,
        result: &mut ClassResult,
        rcu: &ReadSide<'_>,
        ctx: &RunContext<'_>,
    ) -> Action;

    /// The filter with that handle. C: `get`.
    fn get<'a>(&'a self, rtnl: &'a Rtnl, handle: u32) -> Option<&'a Self::Filter>;

    /// Adds or replaces a filter. Nothing has changed on error. C: `change`.
    fn change<'a>(
        &'a self,
        rtnl: &'a Rtnl,
        change: &Change<'a, Self::Filter>,
        extack: &mut ExtAck<'_>,
    ) -> Result<&'a Self::Filter>;

    /// Deletes a filter. C: `delete`.
    fn delete(&self, rtnl: &Rtnl, tp: &Proto, filter: &Self::Filter);

    /// Whether there is no filter left.
    fn is_empty(&self, rtnl: &Rtnl) -> bool;

    /// The instance goes: filters let go of the qdisc. The value is dropped after a grace period,
    /// and the filters with it. C: `destroy`.
    fn destroy(&self, rtnl: &Rtnl, tp: &Proto);

    /// Shows the filters. C: `walk`.
    fn walk(&self, rtnl: &Rtnl, walker: &mut Walker<'_>);

    /// A class came or goes. C: `bind_class`.
    fn bind_class(rtnl: &Rtnl, filter: &Self::Filter, change: &ClassChange<'_>);

    /// The handle of a filter.
    fn handle(filter: &Self::Filter) -> u32;

    /// Writes what [`Self::change`] could read, and what else there is to know. C: `dump`.
    fn dump(rtnl: &Rtnl, filter: &Self::Filter, message: &mut Message<'_>) -> Result;
}
