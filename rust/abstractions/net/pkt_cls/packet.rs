// SPDX-License-Identifier: GPL-2.0-only

//! Packets that tc classifies, and verdicts on them.
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/linux/filter.h`](srctree/include/linux/filter.h)

use super::super::skbuff::{
    shared_info,
    SkBuff, //
};
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
use kernel::prelude::*;

/// What a classifier wants done with a packet that it still has (`TC_ACT_*`).
///
/// # Invariants
///
/// A code that the core acts on by itself: not one of those for which an action of tc has
/// prepared something (`TC_ACT_GOTO_CHAIN`), or has taken the packet (`TC_ACT_CONSUMED`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action(c_int);

impl Action {
    /// No verdict: the next filter is asked.
    pub(crate) const UNSPEC: Self = Self(bindings::TC_ACT_UNSPEC);
    /// Go on, and ask no further filter.
    pub(crate) const OK: Self = Self(bindings::TC_ACT_OK as c_int);
    /// Drop.
    pub(crate) const SHOT: Self = Self(bindings::TC_ACT_SHOT as c_int);
    /// Drop, and count it as delivered.
    pub(crate) const STOLEN: Self = Self(bindings::TC_ACT_STOLEN as c_int);
    /// Go where `bpf_redirect()` said.
    pub(crate) const REDIRECT: Self = Self(bindings::TC_ACT_REDIRECT as c_int);
    /// As [`Self::STOLEN`], because a device trapped it.
    pub(crate) const TRAP: Self = Self(bindings::TC_ACT_TRAP as c_int);

    /// The action of that code. `None` if the core does not act on it by itself.
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

/// A verdict on a packet, which is not the classifier's any more.
///
/// # Invariants
///
/// What a classifier has to return for the packet of `'a`.
pub(crate) struct Verdict<'a>(c_int, PhantomData<&'a mut SkBuff>);

impl Verdict<'_> {
    /// # Safety
    ///
    /// `code` is what the core is to be told about the packet.
    #[inline(always)]
    pub(super) unsafe fn new(code: c_int) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(code, PhantomData)
    }

    /// For the core.
    #[inline(always)]
    pub(in crate::abstractions) fn code(self) -> c_int {
        self.0
    }
}

/// A packet on its way through tc, as long as it is the classifier's: until there is a verdict, or
/// an action of tc takes it.
///
/// # Invariants
///
/// Its control block is a `qdisc_skb_cb`. On its way in, the data begin at the network header, and
/// there are `mac_len` bytes in front of it.
pub(crate) struct TcSkb<'a>(&'a mut SkBuff);

impl<'a> TcSkb<'a> {
    /// # Safety
    ///
    /// `skb` is a packet that tc classifies, and nobody else touches its fields during `'a`, or
    /// until the value is given away.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        // INVARIANT: By the same.
        Self(unsafe { &mut *skb.cast() })
    }

    /// The C view of the packet.
    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Bytes of the packet on the wire, as far as qdiscs know. C: `qdisc_pkt_len()`.
    pub(crate) fn pkt_len(&self) -> u32 {
        // SAFETY: The packet is valid, and has such a control block by the type.
        unsafe { (*qdisc_skb_cb(self.as_ptr())).pkt_len }
    }

    /// How many packets it will be on the wire. C: `qdisc_pkt_segs()`.
    pub(crate) fn pkt_segs(&self) -> u16 {
        // SAFETY: The packet is valid, and has such a control block by the type.
        unsafe { (*qdisc_skb_cb(self.as_ptr())).pkt_segs }
    }

    /// Gives the packet back to the core, with a verdict.
    #[inline(always)]
    pub(crate) fn verdict(self, action: Action) -> Verdict<'a> {
        // SAFETY: The packet is there, and the core acts on the code, by the invariant of `Action`.
        unsafe { Verdict::new(action.0) }
    }

    /// Prepares the packet for programs: the data begin at the MAC header, and the control block has
    /// the ends of the data. The packet may be shared. [`TcRun::end`] undoes that; without it there
    /// is no packet for a verdict.
    ///
    /// C: what `cls_bpf_classify()` and `bpf_prog_run_data_pointers()` do first.
    #[inline(always)]
    pub(crate) fn begin(self) -> TcRun<'a> {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid, and ours by `&mut`. Its control block is a `qdisc_skb_cb` by
        // the type invariant, and the place of the pointers is behind that. On its way in the MAC
        // header is in front of the data, by the same.
        let saved = unsafe {
            if self.0.at_tc_ingress() {
                let len = (*skb).mac_len;
                (*skb).data = (*skb).data.sub(len.into());
                (*skb).len += u32::from(len);
            }
            let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            let saved = ((*ends).data_meta, (*ends).data_end);
            compute_data_pointers(skb);
            saved
        };
        // INVARIANT: Pushed and computed just now.
        TcRun { skb: self.0, saved }
    }
}

/// The control block as that of tc. C: `qdisc_skb_cb()`.
#[inline(always)]
fn qdisc_skb_cb(skb: *mut bindings::sk_buff) -> *mut bindings::qdisc_skb_cb {
    skb.wrapping_byte_add(const { offset_of!(bindings::sk_buff, cb) })
        .cast()
}

/// Notes in the control block where the data end, and where the metadata in front of them begin. C:
/// `bpf_compute_data_pointers()`.
///
/// # Safety
///
/// The packet is valid, ours, and its control block is one of tc.
#[inline(always)]
unsafe fn compute_data_pointers(skb: *mut bindings::sk_buff) {
    // Not the tail, which lies behind the data after generic XDP has moved their end.
    // SAFETY: By the safety requirements of this function. Metadata and linear data lie in the
    // packet's buffer.
    unsafe {
        let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
        let meta_len = (*shared_info(skb)).meta_len;
        let headlen = (*skb).len.wrapping_sub((*skb).data_len);
        (*ends).data_meta = (*skb).data.sub(meta_len.into()).cast();
        (*ends).data_end = (*skb).data.add(headlen as usize).cast();
    }
}

/// As [`compute_data_pointers`], for where it is hardly ever called.
///
/// # Safety
///
/// As for that.
#[cold]
#[inline(never)]
unsafe fn compute_data_pointers_again(skb: *mut bindings::sk_buff) {
    // SAFETY: By the safety requirements of this function.
    unsafe { compute_data_pointers(skb) };
}

/// A packet on which a program can be run.
///
/// # Invariants
///
/// The control block is a `qdisc_skb_cb`; `data_meta` and `data_end` behind it are those of the
/// packet, in place of `saved`. The data begin at the MAC header; on the packet's way in, that is
/// `mac_len` bytes in front of where they began before.
pub(crate) struct TcRun<'a> {
    skb: &'a mut SkBuff,
    saved: (*mut c_void, *mut c_void),
}

impl<'a> TcRun<'a> {
    /// The C view of the packet.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.skb.as_ptr()
    }

    /// Runs a program, and returns what it returned. C: `bpf_prog_run()`.
    #[inline(always)]
    pub(crate) fn run(self, prog: &TcProg, bh: &BhDisabled<'_>) -> (i32, TcRan<'a>) {
        let code = prog.run(bh, self.skb);
        // INVARIANT: A program does not change the packet's direction, and if it changes the length
        // of the MAC header, `mac_len` is changed with it.
        (code, TcRan(self))
    }

    /// The packet as it was before, but for what programs did.
    #[inline(always)]
    pub(crate) fn end(self) -> TcSkb<'a> {
        let skb = self.skb.as_ptr();
        // SAFETY: The packet is valid, and ours by `&mut`; what is undone was done, by the type
        // invariant.
        unsafe {
            let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            ((*ends).data_meta, (*ends).data_end) = self.saved;
            if self.skb.at_tc_ingress() {
                bindings::__skb_pull(skb, (*skb).mac_len.into());
            }
        }
        // INVARIANT: As it was when `begin` got it.
        TcSkb(self.skb)
    }

    /// Sets the minor class number that the program sees, and may set, as `tc_classid`.
    #[inline(always)]
    pub(crate) fn set_tc_classid(&mut self, minor: u16) {
        // SAFETY: The packet is valid, and has such a control block by the type.
        unsafe { (*qdisc_skb_cb(self.skb.as_ptr())).tc_classid = minor };
    }

    /// Makes a packet without a time stamp say so in the type of the stamp too: a program may have
    /// cleared the one and left the other.
    #[inline(always)]
    pub(crate) fn normalise_tstamp(&mut self) {
        let skb = self.skb.as_ptr();
        // SAFETY: The packet is valid, and ours by `&mut`.
        unsafe {
            if (*skb).__bindgen_anon_2.tstamp == 0 {
                let headers = (*skb).__bindgen_anon_4.headers.as_mut();
                if headers.tstamp_type() != 0 {
                    cold_path();
                    headers.set_tstamp_type(bindings::skb_tstamp_type_SKB_CLOCK_REALTIME as u8);
                }
            }
        }
    }
}

/// A packet on which a program has run.
///
/// # Invariants
///
/// As those of [`TcRun`], but `data_meta` and `data_end` may be old.
pub(crate) struct TcRan<'a>(TcRun<'a>);

impl<'a> TcRan<'a> {
    /// The C view of the packet.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// The packet, for the next program.
    ///
    /// The pointers need not be computed again for it: a helper that moves the data, or changes how
    /// much of them is linear, does so itself, for the program that called it. That was checked in
    /// 7.3 for all that a program of this type can call:
    ///
    /// - `store_bytes`, `l3_csum_replace`, `l4_csum_replace`, `pull_data` and `clone_redirect`, by
    ///   `bpf_try_make_writable()`, whether or not that succeeds; `vlan_push`, `vlan_pop`,
    ///   `change_proto`, `change_tail`, `change_head` and `adjust_room`, at their end, but for
    ///   errors that come before anything is changed.
    /// - Kfuncs on a packet's data or metadata write by way of dynptrs: in place, or through
    ///   `store_bytes`. Those of conntrack, FOU, xfrm, crypto and SYN cookies do not move data, nor
    ///   does any other helper (`skb_ecn_set_ce` gives up where it would have to).
    ///
    /// It cannot be checked for kfuncs of other modules, and the C, which computes the pointers
    /// before each program, forgives what they forget. So they are compared: the end of the linear
    /// data, for this is what keeps a program inside the buffer, and it moves with the buffer, the
    /// tail and the length. What moves the beginning alone shows in `data`, which programs read from
    /// the packet; and `data_meta` is of use only as far as it is below `data`.
    #[inline(always)]
    pub(crate) fn next(self) -> TcRun<'a> {
        let skb = self.0.skb.as_ptr();
        // SAFETY: The packet is valid, and ours by `&mut`; see `TcSkb::begin` for the pointers. The
        // end of the linear data is in the packet's buffer.
        unsafe {
            let ends = (&raw mut (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            let linear = ((*skb).len - (*skb).data_len) as usize;
            if (*ends).data_end != (*skb).data.add(linear).cast() {
                compute_data_pointers_again(skb);
            }
        }
        // INVARIANT: Compared, or computed again.
        self.0
    }

    /// The minor class number that the program left.
    #[inline(always)]
    pub(crate) fn tc_classid(&self) -> u16 {
        // SAFETY: The packet is valid, and has such a control block by the type.
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
