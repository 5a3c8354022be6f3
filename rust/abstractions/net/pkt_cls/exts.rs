// SPDX-License-Identifier: GPL-2.0-only

//! The actions that hang on a filter.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use super::{
    Change,
    ClassResult,
    Classifier,
    TcSkb,
    Verdict, //
};
use crate::abstractions::{
    bindings,
    net::netlink::{
        Attrs,
        ExtAck,
        Message, //
    },
    sync::bottom_half::BhDisabled, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// The actions of a filter, in the order in which they run. Its drop unbinds them.
/// C: `struct tcf_exts`.
///
/// They need their namespace, which lasts for `'a`: the request that asks for them. To have them in a
/// filter means to see to it that the namespace is there until they are dropped.
///
/// # Invariants
///
/// `exts` was initialised. Its namespace outlives `'a`, or `net_held` says that it is held.
pub(crate) struct Exts<'a> {
    exts: Opaque<bindings::tcf_exts>,
    net_held: UnsafeCell<bool>,
    _net: PhantomData<&'a ()>,
}

// SAFETY: Actions have locks of their own. `exts` does not change once it is made, but by
// `hold_net`, whose caller is alone with it.
unsafe impl Send for Exts<'_> {}

// SAFETY: Those who share it only have actions run, dumped and counted, for which these have locks
// of their own; for `hold_net` see `Send`.
unsafe impl Sync for Exts<'_> {}

impl<'a> Exts<'a> {
    /// No action.
    ///
    /// # Safety
    ///
    /// `net` outlives `'a`.
    pub(in crate::abstractions) unsafe fn none(
        net: *mut bindings::net,
        act: usize,
        police: usize,
    ) -> Result<Self> {
        let exts = Opaque::<bindings::tcf_exts>::zeroed();
        // SAFETY: The place is valid. Nothing in it points back to it, so it may move.
        to_result(unsafe {
            bindings::tcf_exts_init(exts.get(), net, act as c_int, police as c_int)
        })?;
        // INVARIANT: Just initialised; the rest by the safety requirements of this function.
        Ok(Self {
            exts,
            net_held: UnsafeCell::new(false),
            _net: PhantomData,
        })
    }

    /// Makes, or finds and binds, the actions that a request asks for: those in its attribute
    /// `act`, or the one policer in `police`. The errno and the extack message are those of the action.
    /// Process context. C: `tcf_exts_init()`, `tcf_exts_validate()`.
    pub(crate) fn parse<T: Classifier, const N: usize>(
        change: &Change<'a, T>,
        attrs: &Attrs<'_, N>,
        act: usize,
        police: usize,
        extack: &mut ExtAck<'_>,
    ) -> Result<Self> {
        assert!(act < N && police < N);
        // SAFETY: The namespace outlives the request.
        let this = unsafe { Self::none(change.net, act, police)? };
        // SAFETY: All are valid during the request. The table has the entries that `exts` names.
        to_result(unsafe {
            bindings::tcf_exts_validate(
                change.net,
                change.tp.as_ptr(),
                attrs.as_ptr(),
                change.rate(),
                this.exts.get(),
                change.flags,
                extack.as_ptr(),
            )
        })?;
        Ok(this)
    }

    /// Has them outlive the request.
    ///
    /// Whether there is no action.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: Initialised by the type invariant.
        unsafe { !bindings::tcf_exts_has_actions(self.exts.get()) }
    }

    /// Runs the actions on a packet. Returns the packet if they have no verdict: the next filter is
    /// asked. With a verdict, they may have taken it. C: `tcf_exts_exec()`.
    #[inline(always)]
    pub(crate) fn exec<'p>(
        &self,
        _bh: &BhDisabled<'_>,
        skb: TcSkb<'p>,
        result: &mut ClassResult,
    ) -> Result<Verdict<'p>, TcSkb<'p>> {
        // SAFETY: Initialised by the type invariant; the packet is valid, and so is the result, by
        // its reference. Bottom halves are disabled, of which `_bh` is a token. A code that is not
        // negative is for the core.
        unsafe {
            match bindings::tcf_exts_exec(skb.as_ptr(), self.exts.get(), result.as_ptr()) {
                code @ 0.. => Ok(Verdict::new(code)),
                _ => Err(skb),
            }
        }
    }

    /// Writes what the actions are. `EMSGSIZE`. C: `tcf_exts_dump()`.
    pub(crate) fn dump(&self, message: &mut Message<'_>) -> Result {
        // SAFETY: Initialised by the type invariant; the message is valid.
        match unsafe { bindings::tcf_exts_dump(message.as_ptr(), self.exts.get()) } {
            0.. => Ok(()),
            _ => Err(EMSGSIZE),
        }
    }

    /// Writes which actions there are, and their statistics. `EMSGSIZE`.
    /// C: `tcf_exts_terse_dump()`.
    pub(crate) fn terse_dump(&self, message: &mut Message<'_>) -> Result {
        // SAFETY: Initialised by the type invariant; the message is valid.
        match unsafe { bindings::tcf_exts_terse_dump(message.as_ptr(), self.exts.get()) } {
            0.. => Ok(()),
            _ => Err(EMSGSIZE),
        }
    }

    /// Writes the statistics of the first action, in the form that clients of old read.
    /// `EMSGSIZE`. C: `tcf_exts_dump_stats()`.
    pub(crate) fn dump_stats(&self, message: &mut Message<'_>) -> Result {
        // SAFETY: Initialised by the type invariant; the message is valid.
        match unsafe { bindings::tcf_exts_dump_stats(message.as_ptr(), self.exts.get()) } {
            0.. => Ok(()),
            _ => Err(EMSGSIZE),
        }
    }

    /// The C view.
    pub(super) fn as_ptr(&self) -> *mut bindings::tcf_exts {
        self.exts.get()
    }

    /// Keeps the namespace until the drop, which can then come at any time. `false` if the
    /// namespace is on its way out: the drop must come before this returns to the core.
    /// C: `tcf_exts_get_net()`.
    ///
    /// # Safety
    ///
    /// Called once, by the one who has the filter to itself but for the packet path, which does not
    /// look at the namespace.
    pub(super) unsafe fn hold_net(&self) -> bool {
        // SAFETY: Initialised by the type invariant; nobody else does this, by the safety
        // requirements of this function.
        unsafe {
            let held = bindings::tcf_exts_get_net(self.exts.get());
            // INVARIANT: Just taken.
            *self.net_held.get() = held;
            held
        }
    }
}

impl Drop for Exts<'_> {
    fn drop(&mut self) {
        // SAFETY: Initialised by the type invariant, and not used any more. The namespace is there
        // by the same, and is put if it was held.
        unsafe {
            bindings::tcf_exts_destroy(self.exts.get());
            if *self.net_held.get() {
                bindings::tcf_exts_put_net(self.exts.get());
            }
        }
    }
}
