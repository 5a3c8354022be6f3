// SPDX-License-Identifier: GPL-2.0-only

//! The actions that hang on a filter.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use super::{
    Action,
    Change,
    ClassResult,
    Filter,
    TcSkb, //
};
use crate::abstractions::{
    bindings,
    bpf::RunContext,
    net::netlink::{
        Attrs,
        ExtAck,
        Message, //
    }, //
};
use core::cell::UnsafeCell;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// The actions of a filter, in the order in which they run. Its drop unbinds them.
/// C: `struct tcf_exts`.
///
/// # Invariants
///
/// `exts` was initialised. `net_held` says whether it holds its namespace, which else must outlive
/// it by other means.
pub(crate) struct Actions {
    exts: Opaque<bindings::tcf_exts>,
    net_held: UnsafeCell<bool>,
}

// SAFETY: Actions have locks of their own. `exts` does not change once it is made, but by
// `hold_net`, whose caller is alone with it.
unsafe impl Send for Actions {}

// SAFETY: As above.
unsafe impl Sync for Actions {}

impl Actions {
    /// No action.
    ///
    /// # Safety
    ///
    /// `net` outlives the value, unless [`Self::hold_net`] is called meanwhile.
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
        })
    }

    /// Makes, or finds and binds, the actions that a request asks for: those in its attribute
    /// `act`, or the one policer in `police`. The errno and the sentence are those of the action.
    /// Process context. C: `tcf_exts_init()`, `tcf_exts_validate()`.
    pub(crate) fn parse<F: Filter, const N: usize>(
        change: &Change<'_, F>,
        attrs: &Attrs<'_, N>,
        act: usize,
        police: usize,
        extack: &mut ExtAck<'_>,
    ) -> Result<Self> {
        assert!(act < N && police < N);
        // SAFETY: The namespace outlives the request, and a filter that is published lives no
        // longer than its instance, which goes before the namespace does, or holds it.
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

    /// Whether there is no action.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: Initialised by the type invariant.
        unsafe { !bindings::tcf_exts_has_actions(self.exts.get()) }
    }

    /// Runs the actions on a packet. A negative answer is no verdict: the next filter is asked.
    /// With any other, the packet is the caller's again only as far as the verdict says.
    /// C: `tcf_exts_exec()`.
    #[inline(always)]
    pub(crate) fn exec(
        &self,
        _ctx: &RunContext<'_>,
        skb: &mut TcSkb,
        result: &mut ClassResult,
    ) -> Action {
        // SAFETY: Initialised by the type invariant; packet and result are valid by their
        // references. Bottom halves are off by the evidence of `_ctx`.
        Action(unsafe { bindings::tcf_exts_exec(skb.0.as_ptr(), self.exts.get(), result.0.get()) })
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

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: Initialised by the type invariant, and not used any more. The namespace is there
        // by the same, and let go of if it was held.
        unsafe {
            bindings::tcf_exts_destroy(self.exts.get());
            if *self.net_held.get() {
                bindings::tcf_exts_put_net(self.exts.get());
            }
        }
    }
}
