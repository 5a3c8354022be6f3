// SPDX-License-Identifier: GPL-2.0-only

//! Packets that tc classifies, and verdicts on them.
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/linux/filter.h`](srctree/include/linux/filter.h)

use super::super::skbuff::SkBuff;
use crate::abstractions::{
    bindings,
    bpf::TcProg,
    cold_path,
    sync::bottom_half::BhDisabled, //
};
use core::{
    marker::PhantomData,
    mem::offset_of, //
};
use kernel::{
    prelude::*,
    ptr::project, //
};

/// The verdict of a classifier on a packet that it still has (`TC_ACT_*`).
///
/// # Invariants
///
/// The core can act on the code alone. It is neither a code for which a tc action has prepared
/// something (`TC_ACT_GOTO_CHAIN`) nor one for a packet that an action has taken
/// (`TC_ACT_CONSUMED`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action(c_int);

impl Action {
    /// No verdict: the next filter is tried.
    pub(crate) const UNSPEC: Self = Self(bindings::TC_ACT_UNSPEC);
    /// Accept the packet. No further filter is tried.
    pub(crate) const OK: Self = Self(bindings::TC_ACT_OK as c_int);
    /// Drop the packet.
    pub(crate) const SHOT: Self = Self(bindings::TC_ACT_SHOT as c_int);
    /// Drop the packet, but count it as delivered.
    pub(crate) const STOLEN: Self = Self(bindings::TC_ACT_STOLEN as c_int);
    /// Redirect the packet as `bpf_redirect()` requested.
    pub(crate) const REDIRECT: Self = Self(bindings::TC_ACT_REDIRECT as c_int);
    /// As [`Self::STOLEN`], because a device trapped the packet.
    pub(crate) const TRAP: Self = Self(bindings::TC_ACT_TRAP as c_int);

    /// Returns the action with that code, or `None` if the core cannot act on the code alone.
    #[inline(always)]
    pub(crate) const fn from_code(code: i32) -> Option<Self> {
        const OK: i32 = Action::OK.0;
        const SHOT: i32 = Action::SHOT.0;
        const STOLEN: i32 = Action::STOLEN.0;
        const REDIRECT: i32 = Action::REDIRECT.0;
        const TRAP: i32 = Action::TRAP.0;

        match code {
            // INVARIANT: One of the constants.
            OK | SHOT | STOLEN | REDIRECT | TRAP => Some(Self(code)),
            _ => None,
        }
    }
}

/// The return value of a classifier, which does not access the packet any more.
///
/// # Invariants
///
/// What a classifier has to return for the packet of `'a`.
pub(crate) struct Verdict<'a>(c_int, PhantomData<&'a mut SkBuff>);

impl Verdict<'_> {
    /// # Safety
    ///
    /// `code` is what the classifier has to return for the packet.
    #[inline(always)]
    pub(super) unsafe fn new(code: c_int) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(code, PhantomData)
    }

    /// Returns the code for the core.
    #[inline(always)]
    pub(in crate::abstractions) fn code(self) -> c_int {
        self.0
    }
}

/// A packet in tc, which a classifier may access until there is a verdict, or until a tc action
/// takes the packet.
///
/// # Invariants
///
/// The control block is a `qdisc_skb_cb`. On ingress the data begin at the network header, and
/// there are `mac_len` bytes before it.
pub(crate) struct TcSkb<'a>(&'a mut SkBuff);

impl<'a> TcSkb<'a> {
    /// # Safety
    ///
    /// `skb` is a packet that tc classifies, and nobody else accesses its fields during `'a`, or
    /// until the value is given away.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // SAFETY: The type is transparent. The packet is valid by the safety requirements of this
        // function.
        // INVARIANT: By the safety requirements of this function.
        Self(unsafe { &mut *skb.cast() })
    }

    /// Returns the raw pointer.
    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Returns the length of the packet on the wire, as qdiscs account it. C: `qdisc_pkt_len()`.
    pub(crate) fn pkt_len(&self) -> u32 {
        // SAFETY: The packet is valid, and its control block is a `qdisc_skb_cb`, by the type
        // invariant.
        unsafe { (*qdisc_skb_cb(self.as_ptr())).pkt_len }
    }

    /// Returns the number of packets on the wire, after segmentation. C: `qdisc_pkt_segs()`.
    pub(crate) fn pkt_segs(&self) -> u16 {
        // SAFETY: The packet is valid, and its control block is a `qdisc_skb_cb`, by the type
        // invariant.
        unsafe { (*qdisc_skb_cb(self.as_ptr())).pkt_segs }
    }

    /// Returns the packet to the core, with a verdict.
    #[inline(always)]
    pub(crate) fn verdict(self, action: Action) -> Verdict<'a> {
        // SAFETY: The classifier still has the packet, and the core can act on the code alone, by
        // the invariant of `Action`.
        unsafe { Verdict::new(action.0) }
    }

    /// Prepares the packet for programs: moves the start of the data to the MAC header, and stores
    /// the data pointers in the control block. The packet may be shared. [`TcRun::end`] undoes
    /// this, and is the only way to get the packet back for a verdict.
    ///
    /// C: what `cls_bpf_classify()` and `bpf_prog_run_data_pointers()` do first.
    #[inline(always)]
    pub(crate) fn begin(self) -> TcRun<'a> {
        let skb = self.0;
        if skb.at_tc_ingress() {
            let len = skb.mac_len();
            // SAFETY: On ingress the MAC header precedes the data, by the type invariant.
            unsafe { skb.push(len) };
        }
        let ends = skb.data_ends();
        // SAFETY: The packet is valid, and ours by `&mut`.
        let data_meta = unsafe { (*ends).data_meta };
        // SAFETY: The packet is valid, and ours by `&mut`.
        let data_end = unsafe { (*ends).data_end };
        compute_data_pointers(skb);
        // INVARIANT: The header was pushed and the pointers were computed above. By the type
        // invariant the control block is a `qdisc_skb_cb`, after which there is space for the
        // pointers.
        TcRun {
            skb,
            saved: (data_meta, data_end),
        }
    }
}

/// Returns the control block as tc uses it. C: `qdisc_skb_cb()`.
#[inline(always)]
fn qdisc_skb_cb(skb: *mut bindings::sk_buff) -> *mut bindings::qdisc_skb_cb {
    skb.wrapping_byte_add(const { offset_of!(bindings::sk_buff, cb) })
        .cast()
}

/// Stores the end of the linear data, and the start of the metadata before the data, in the control
/// block. C: `bpf_compute_data_pointers()`.
#[inline(always)]
fn compute_data_pointers(skb: &mut SkBuff) {
    // SAFETY: The shared info of a valid packet is valid.
    let meta_len = unsafe { (*skb.shared_info()).meta_len };
    let meta = skb.data().wrapping_sub(meta_len.into());
    skb.set_data_end();
    // SAFETY: The packet is valid and exclusively borrowed.
    unsafe { (*skb.data_ends()).data_meta = meta.cast() };
}

/// Calls [`compute_data_pointers`], out of line because this is rarely needed.
#[cold]
#[inline(never)]
fn compute_data_pointers_again(skb: &mut SkBuff) {
    compute_data_pointers(skb);
}

/// A packet on which a program can run.
///
/// # Invariants
///
/// The control block is a `qdisc_skb_cb`, followed by the packet's `data_meta` and `data_end`,
/// which replaced `saved`. The data begin at the MAC header. On ingress that is `mac_len` bytes
/// before their previous start.
pub(crate) struct TcRun<'a> {
    skb: &'a mut SkBuff,
    saved: (*mut c_void, *mut c_void),
}

impl<'a> TcRun<'a> {
    /// Returns the packet.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) fn skb(&self) -> &SkBuff {
        self.skb
    }

    /// Runs a program, and returns its return value. C: `bpf_prog_run()`.
    #[inline(always)]
    pub(crate) fn run(self, prog: &TcProg, bh: &BhDisabled<'_>) -> (i32, TcRan<'a>) {
        let code = prog.run(bh, self.skb);
        // INVARIANT: A program does not change the direction of a packet. If it changes the length
        // of the MAC header, `mac_len` changes with it.
        (code, TcRan(self))
    }

    /// Restores the packet, except for changes that programs made.
    #[inline(always)]
    pub(crate) fn end(self) -> TcSkb<'a> {
        let ends = self.skb.data_ends();
        let (data_meta, data_end) = self.saved;
        // SAFETY: The packet is valid, and ours by `&mut`.
        unsafe { (*ends).data_meta = data_meta };
        // SAFETY: The packet is valid, and ours by `&mut`.
        unsafe { (*ends).data_end = data_end };
        if self.skb.at_tc_ingress() {
            // SAFETY: The packet is valid, and ours by `&mut`. On ingress the MAC header was
            // pushed, by the type invariant.
            unsafe { bindings::__skb_pull(self.skb.as_ptr(), self.skb.mac_len()) };
        }
        // INVARIANT: The packet is as `begin` got it.
        TcSkb(self.skb)
    }

    /// Sets the minor class ID, which a program can read and write as `tc_classid`.
    #[inline(always)]
    pub(crate) fn set_tc_classid(&mut self, minor: u16) {
        // SAFETY: The packet is valid, and its control block is a `qdisc_skb_cb`, by the type
        // invariant.
        unsafe { (*qdisc_skb_cb(self.skb.as_ptr())).tc_classid = minor };
    }

    /// Resets the timestamp type of a packet without a timestamp: a program may have cleared the
    /// timestamp, but not its type.
    #[inline(always)]
    pub(crate) fn normalise_tstamp(&mut self) {
        let tstamp = project!(self.skb.as_ptr(), .__bindgen_anon_2.tstamp);
        // SAFETY: The packet is valid, and ours by `&mut`.
        if unsafe { tstamp.read() } == 0 {
            let headers = self.skb.headers_mut();
            if headers.tstamp_type() != 0 {
                cold_path();
                headers.set_tstamp_type(bindings::skb_tstamp_type_SKB_CLOCK_REALTIME as u8);
            }
        }
    }
}

/// A packet on which a program has run.
///
/// # Invariants
///
/// Those of [`TcRun`], except that `data_meta` and `data_end` may be stale.
pub(crate) struct TcRan<'a>(TcRun<'a>);

impl<'a> TcRan<'a> {
    /// Returns the packet.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) fn skb(&self) -> &SkBuff {
        self.0.skb()
    }

    /// Returns the packet for the next program.
    ///
    /// The data pointers do not have to be computed for every program, because a helper that moves
    /// the data, or changes the length of the linear part, computes them for the program that
    /// called it. This was checked in 7.3 for everything that a program of this type can call:
    ///
    /// - `store_bytes`, `l3_csum_replace`, `l4_csum_replace`, `pull_data` and `clone_redirect` do
    ///   so in `bpf_try_make_writable()`, whether or not it succeeds. `vlan_push`, `vlan_pop`,
    ///   `change_proto`, `change_tail`, `change_head` and `adjust_room` do so at their end, except
    ///   for errors before anything was changed.
    /// - Kfuncs on the data or metadata of a packet write through dynptrs: in place, or through
    ///   `store_bytes`. Kfuncs for conntrack, FOU, xfrm, crypto and SYN cookies do not move data.
    ///   Neither does any other helper (`skb_ecn_set_ce` fails where it would have to).
    ///
    /// This cannot be checked for kfuncs of other modules. The C code tolerates stale pointers,
    /// because it computes them before each program. Therefore this function checks the end of the
    /// linear data, which keeps a program inside the buffer and changes with the buffer, the tail
    /// and the length. If only the start of the data moves, programs see that in `data`, which they
    /// read from the packet. `data_meta` is only usable where it is below `data`.
    #[inline(always)]
    pub(crate) fn next(self) -> TcRun<'a> {
        let skb = &mut *self.0.skb;
        // SAFETY: The packet is valid, and ours by `&mut`.
        let known = unsafe { (*skb.data_ends()).data_end };
        if known != skb.data_end().cast() {
            compute_data_pointers_again(skb);
        }
        // INVARIANT: The pointers were compared, or computed again.
        self.0
    }

    /// Returns the minor class ID that the program left.
    #[inline(always)]
    pub(crate) fn tc_classid(&self) -> u16 {
        // SAFETY: The packet is valid, and its control block is a `qdisc_skb_cb`, by the type
        // invariant.
        unsafe { (*qdisc_skb_cb(self.0.skb.as_ptr())).tc_classid }
    }

    /// See [`TcRun::end`].
    #[inline(always)]
    pub(crate) fn end(self) -> TcSkb<'a> {
        self.0.end()
    }

    /// See [`TcRun::normalise_tstamp`].
    #[inline(always)]
    pub(crate) fn normalise_tstamp(&mut self) {
        self.0.normalise_tstamp();
    }
}
