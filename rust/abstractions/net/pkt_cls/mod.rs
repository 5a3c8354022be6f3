// SPDX-License-Identifier: GPL-2.0-only

//! Traffic classifiers.
//!
//! Implement [`Classifier`], keep its filters in a [`FilterTable`], and hold a [`Registration`].
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

mod adapter;
mod block;
mod exts;
mod offload;
mod table;

pub(crate) use adapter::Registration;
pub(crate) use block::{
    Proto,
    Writer, //
};
pub(crate) use exts::Actions;
pub(crate) use offload::{
    flags,
    BpfOffload,
    Device,
    Devices,
    OffloadState, //
};
pub(crate) use table::{
    Entry,
    FilterRef,
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
    bpf::{
        RunContext,
        TcProg, //
    },
    sync::{
        rcu::ReadSide,
        rtnl::{
            Caller,
            Rtnl, //
        }, //
    },
};
use core::{
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    }, //
};
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

    /// Whether it is no verdict.
    #[inline(always)]
    pub(crate) fn asks_next(self) -> bool {
        self.0 < 0
    }
}

/// The attributes of a filter request (`TCA_*`).
pub(crate) type Tca<'a> = Attrs<'a, { bindings::__TCA_MAX as usize }>;

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

// SAFETY: `result` is only changed with RTNL held, by way of a token of it. Packets read the class,
// in one piece; the core waits for them before a class goes.
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
        unsafe { bindings::tcf_bind_filter(tp.as_ptr(), self.result.get(), base) };
    }

    /// Unties it. Does nothing if it is not tied.
    pub(crate) fn unbind(&self, _rtnl: &Rtnl, tp: &Proto) {
        // SAFETY: Both are valid by reference, and serialised by RTNL.
        unsafe { bindings::tcf_unbind_filter(tp.as_ptr(), self.result.get()) };
    }

    /// Whether there is a class to be tied to.
    pub(crate) fn is_some(&self) -> bool {
        self.classid != 0
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
    /// The class of a filter.
    #[inline(always)]
    pub(crate) fn set_class(&mut self, class: &BoundClass) {
        let result = self.0.get();
        // SAFETY: Valid and ours by `&mut`. Requests exchange the class in one piece.
        unsafe {
            let bound = &raw const (*class.result.get())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .class;
            (*result).__bindgen_anon_1.__bindgen_anon_1.class = bound.read_volatile();
            (*result).__bindgen_anon_1.__bindgen_anon_1.classid = class.classid;
        }
    }

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

    /// Lends the packet to programs, as they expect it: with its data beginning at the link header,
    /// and with the ends of its data where programs look for them. The packet may be shared.
    #[inline(always)]
    pub(crate) fn lend<'a>(&'a mut self, ctx: &'a RunContext<'a>) -> Lent<'a> {
        let skb = self.0.as_ptr();
        let at_ingress = self.at_ingress();
        // SAFETY: The packet is valid, ours by `&mut`, and its control block is a `qdisc_skb_cb`, so
        // that the place of the pointers is behind that. On its way in the link header lies in front
        // of the data.
        unsafe {
            if at_ingress {
                bindings::__skb_push(skb, (*skb).mac_len.into());
            }
            let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            let saved = ((*ends).data_meta, (*ends).data_end);
            bindings::bpf_compute_data_pointers(skb);
            Lent {
                skb: self,
                ctx,
                at_ingress,
                saved,
            }
        }
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

/// A packet that programs are run on, one after the other. It is as it was, but for what they did,
/// when the value is dropped.
///
/// A helper that moves the packet's data or its ends writes down where they are now, for the program
/// that called it. So they are right for the next one too.
///
/// # Invariants
///
/// `data_meta` and `data_end` in the control block are those of the packet. If `at_ingress`, the data
/// begin at the link header.
pub(crate) struct Lent<'a> {
    skb: &'a mut TcSkb,
    ctx: &'a RunContext<'a>,
    at_ingress: bool,
    saved: (*mut c_void, *mut c_void),
}

impl Lent<'_> {
    /// Runs a program, and returns what it returned. C: `bpf_prog_run_data_pointers()`.
    #[inline(always)]
    pub(crate) fn run(&mut self, prog: &TcProg) -> i32 {
        prog.run(self.ctx, &mut self.skb.0)
    }
}

impl Deref for Lent<'_> {
    type Target = TcSkb;

    #[inline(always)]
    fn deref(&self) -> &TcSkb {
        self.skb
    }
}

impl DerefMut for Lent<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut TcSkb {
        self.skb
    }
}

impl Drop for Lent<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let skb = self.skb.0.as_ptr();
        // SAFETY: As in `lend`. A program may have changed the length of the link header, and then
        // `mac_len` with it.
        unsafe {
            let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            ((*ends).data_meta, (*ends).data_end) = self.saved;
            if self.at_ingress {
                bindings::__skb_pull(skb, (*skb).mac_len.into());
            }
        }
    }
}

/// A request to add a filter or to change one.
pub(crate) struct Change<'a, F: Filter> {
    /// The instance that it is for.
    pub(crate) tp: &'a Proto,
    /// Whether RTNL is held.
    pub(crate) caller: Caller,
    /// The handle that the user named; 0 if none.
    pub(crate) handle: u32,
    /// The class whose filters are changed.
    pub(crate) base: c_ulong,
    /// The request.
    pub(crate) tca: &'a Tca<'a>,
    /// The filter that has the handle already.
    pub(crate) old: Option<FilterRef<'a, F>>,
    net: *mut bindings::net,
    /// `TCA_ACT_FLAGS_*`, for actions.
    flags: u32,
}

impl<'a, F: Filter> Change<'a, F> {
    /// A request as the core would make it, in the first namespace.
    #[cfg(lwtcls_kunit)]
    pub(crate) fn new(
        tp: &'a Proto,
        caller: Caller,
        handle: u32,
        tca: &'a Tca<'a>,
        old: Option<FilterRef<'a, F>>,
    ) -> Self {
        Self {
            tp,
            handle,
            base: 0,
            tca,
            old,
            net: &raw mut bindings::init_net,
            flags: if caller.holds_rtnl() {
                0
            } else {
                bindings::TCA_ACT_FLAGS_NO_RTNL
            },
            caller,
        }
    }

    /// The estimator that the request asks for, or null.
    fn rate(&self) -> *mut bindings::nlattr {
        self.tca
            .get::<{ bindings::TCA_RATE as usize }>()
            .map_or(core::ptr::null_mut(), |attr| attr.as_ptr())
    }
}

/// A filter, as far as the abstractions care for it.
///
/// It is dropped after a grace period, when no request uses it. That may be at any time but for
/// the module's life: RTNL need not be held, and the instance may be gone.
pub(crate) trait Filter: Send + Sync {
    /// Its actions, which know the namespace that it needs.
    fn actions(&self) -> &Actions;

    /// Where it is. If a device has it when it is to be freed, it is not.
    fn offload(&self) -> &OffloadState;
}

/// A classifier. C: `struct tcf_proto_ops`.
///
/// A value of the type is the root of each instance ([`Proto`]). All methods but
/// [`Self::classify`] run in process context. Those that are given a [`Caller`] run without RTNL if
/// that says so, and then at once with others on the same instance (`TCF_PROTO_OPS_DOIT_UNLOCKED`);
/// what needs RTNL asks it for [`Rtnl`].
#[vtable]
pub(crate) trait Classifier: Sized + Send + Sync {
    /// What `tc filter add ... KIND` says. At most 15 bytes.
    const KIND: &'static CStr;

    /// A filter.
    type Filter: Filter;

    /// A new instance. C: `init`.
    fn init() -> impl PinInit<Self, Error>;

    /// The filters. C: `get`, `put`, `walk`, `delete_empty`.
    fn filters(&self) -> &FilterTable<Self::Filter>;

    /// Decides about a packet. C: `classify`. Bottom halves are off.
    fn classify(
        &self,
        skb: &mut TcSkb,
        result: &mut ClassResult,
        rcu: &ReadSide<'_>,
        ctx: &RunContext<'_>,
    ) -> Action;

    /// Adds or replaces a filter. Nothing has changed on error; `EAGAIN` has the core begin anew,
    /// with RTNL. C: `change`.
    fn change<'a>(
        &'a self,
        change: Change<'a, Self::Filter>,
        extack: &mut ExtAck<'_>,
    ) -> Result<FilterRef<'a, Self::Filter>>;

    /// Deletes a filter. `ENOENT` if another request did so already. C: `delete`.
    fn delete(
        &self,
        caller: &Caller,
        tp: &Proto,
        filter: FilterRef<'_, Self::Filter>,
        extack: &mut ExtAck<'_>,
    ) -> Result;

    /// The instance goes, and no request has it any more: filters let go of qdisc and devices. The
    /// value is dropped after a grace period, and the filters with it. C: `destroy`.
    fn destroy(&self, caller: &Caller, tp: &Proto, extack: &mut ExtAck<'_>);

    /// A device joins the block, or leaves it. Filters neither come nor go meanwhile. An error keeps
    /// a device from joining; it is then told to leave. C: `reoffload`.
    fn reoffload(&self, device: &Device<'_>, joins: bool, extack: &mut ExtAck<'_>) -> Result;

    /// A class came or goes. Does not sleep. C: `bind_class`.
    fn bind_class(rtnl: &Rtnl, filter: &Self::Filter, change: &ClassChange<'_>);

    /// Writes what [`Self::change`] could read, and what else there is to know. C: `dump`.
    fn dump(
        caller: &Caller,
        tp: &Proto,
        filter: &Self::Filter,
        message: &mut Message<'_>,
    ) -> Result;

    /// Writes what distinguishes a filter, and the statistics of its actions. C: `terse_dump`.
    fn terse_dump(filter: &Self::Filter, message: &mut Message<'_>) -> Result;
}
