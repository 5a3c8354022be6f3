// SPDX-License-Identifier: GPL-2.0-only

//! Actions of filters.
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
/// Actions need their namespace, which is valid for `'a`, the lifetime of the request. Code that
/// stores them in a filter has to keep the namespace valid until they are dropped.
///
/// # Invariants
///
/// `exts` is initialised. Its list of actions is [`NO_ACTIONS`], with a count of 0, or null, or one
/// that `tcf_exts_init()` allocated. Its namespace outlives `'a`, or `net_held` says that the value
/// holds a reference to it.
pub(crate) struct Exts<'a> {
    exts: Opaque<bindings::tcf_exts>,
    net_held: UnsafeCell<bool>,
    _net: PhantomData<&'a ()>,
}

// SAFETY: Actions do their own locking. After its initialisation only `get_net` changes `exts`,
// whose caller has exclusive access.
unsafe impl Send for Exts<'_> {}

// SAFETY: Shared references only run, dump and count actions, which do their own locking, or call
// `get_net`, whose caller has exclusive access.
unsafe impl Sync for Exts<'_> {}

/// The list of actions of all filters without actions. The core allocates one for each filter.
#[cfg(CONFIG_NET_CLS_ACT)]
struct NoActions([*mut bindings::tc_action; bindings::TCA_ACT_MAX_PRIO as usize]);

#[cfg(CONFIG_NET_CLS_ACT)]
// SAFETY: All pointers are null, and never written.
unsafe impl Sync for NoActions {}

#[cfg(CONFIG_NET_CLS_ACT)]
static NO_ACTIONS: NoActions =
    NoActions([core::ptr::null_mut(); bindings::TCA_ACT_MAX_PRIO as usize]);

#[cfg(CONFIG_NET_CLS_ACT)]
impl NoActions {
    /// Returns the list as `struct tcf_exts` holds it. The core and drivers read the first
    /// `nr_actions` entries, or up to the first null pointer. The core only writes to a list to add
    /// or to remove an action.
    fn as_ptr() -> *mut *mut bindings::tc_action {
        NO_ACTIONS.0.as_ptr().cast_mut()
    }
}

impl<'a> Exts<'a> {
    /// Creates an empty list of actions, which takes no memory.
    ///
    /// # Safety
    ///
    /// `net` outlives `'a`.
    pub(in crate::abstractions) unsafe fn none(
        net: *mut bindings::net,
        act: usize,
        police: usize,
    ) -> Self {
        // SAFETY: All zeroes are a valid value. What is not set below is zero in C, too.
        let mut exts: bindings::tcf_exts = unsafe { core::mem::zeroed() };
        #[cfg(CONFIG_NET_CLS_ACT)]
        {
            exts.net = net;
            exts.actions = NoActions::as_ptr();
        }
        #[cfg(not(CONFIG_NET_CLS_ACT))]
        let _ = net;
        exts.action = act as c_int;
        exts.police = police as c_int;
        // INVARIANT: Initialised above. `net` outlives `'a` by the safety requirements of this
        // function.
        Self {
            exts: Opaque::new(exts),
            net_held: UnsafeCell::new(false),
            _net: PhantomData,
        }
    }

    /// Sets up the actions that a request asks for: those in its attribute `act`, or the single
    /// policer in `police`. Creates new actions and binds existing ones. On error, the errno and
    /// the extack message are those of the action. Process context. C: `tcf_exts_init()`,
    /// `tcf_exts_validate()`.
    pub(crate) fn parse<T: Classifier, const N: usize>(
        change: &Change<'a, T>,
        attrs: &Attrs<'_, N>,
        act: usize,
        police: usize,
        extack: &mut ExtAck<'_>,
    ) -> Result<Self> {
        assert!(act < N && police < N);
        // SAFETY: The namespace outlives the request.
        let this = unsafe { Self::none(change.net, act, police) };
        if !attrs.has(act) && !attrs.has(police) {
            return Ok(this);
        }
        // SAFETY: The value is not shared yet, and has no list of its own. Nothing in `exts` points
        // back to it, so it may move. On error the list is null, which the drop accepts.
        to_result(unsafe {
            bindings::tcf_exts_init(this.exts.get(), change.net, act as c_int, police as c_int)
        })?;
        // SAFETY: All pointers are valid during the request. The attribute table has the entries
        // that `exts` refers to.
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

    /// Returns whether there are no actions.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: Initialised by the type invariant.
        unsafe { !bindings::tcf_exts_has_actions(self.exts.get()) }
    }

    /// Runs the actions on a packet. Returns the packet if they have no verdict, and the next
    /// filter is tried. With a verdict, an action may have taken the packet. C: `tcf_exts_exec()`.
    #[inline(always)]
    pub(crate) fn exec<'p>(
        &self,
        _bh: &BhDisabled<'_>,
        skb: TcSkb<'p>,
        result: &mut ClassResult,
    ) -> Result<Verdict<'p>, TcSkb<'p>> {
        // SAFETY: `exts` is initialised by the type invariant, the packet is valid, and so is the
        // result, by its reference. Bottom halves are disabled, of which `_bh` is a token.
        match unsafe { bindings::tcf_exts_exec(skb.as_ptr(), self.exts.get(), result.as_ptr()) } {
            // SAFETY: A non-negative code is a valid return value for the core.
            code @ 0.. => Ok(unsafe { Verdict::new(code) }),
            _ => Err(skb),
        }
    }

    /// Dumps the actions. Fails with `EMSGSIZE`. C: `tcf_exts_dump()`.
    pub(crate) fn dump(&self, message: &mut Message<'_>) -> Result {
        // SAFETY: Initialised by the type invariant; the message is valid.
        match unsafe { bindings::tcf_exts_dump(message.as_ptr(), self.exts.get()) } {
            0.. => Ok(()),
            _ => Err(EMSGSIZE),
        }
    }

    /// Dumps which actions there are, and their statistics. Fails with `EMSGSIZE`.
    /// C: `tcf_exts_terse_dump()`.
    pub(crate) fn terse_dump(&self, message: &mut Message<'_>) -> Result {
        // SAFETY: Initialised by the type invariant; the message is valid.
        match unsafe { bindings::tcf_exts_terse_dump(message.as_ptr(), self.exts.get()) } {
            0.. => Ok(()),
            _ => Err(EMSGSIZE),
        }
    }

    /// Dumps the statistics of the first action, in the format for old clients. Fails with
    /// `EMSGSIZE`. C: `tcf_exts_dump_stats()`.
    pub(crate) fn dump_stats(&self, message: &mut Message<'_>) -> Result {
        // SAFETY: Initialised by the type invariant; the message is valid.
        match unsafe { bindings::tcf_exts_dump_stats(message.as_ptr(), self.exts.get()) } {
            0.. => Ok(()),
            _ => Err(EMSGSIZE),
        }
    }

    /// Returns the raw pointer.
    pub(super) fn as_ptr(&self) -> *mut bindings::tcf_exts {
        self.exts.get()
    }

    /// Takes a reference to the namespace, after which the drop can happen at any time. Returns
    /// `false` if the namespace is being dismantled: the drop must then happen before the caller
    /// returns to the core. C: `tcf_exts_get_net()`.
    ///
    /// # Safety
    ///
    /// Called once. The caller has exclusive access to the filter, except for the packet path,
    /// which does not access the namespace.
    pub(super) unsafe fn get_net(&self) -> bool {
        // SAFETY: Initialised by the type invariant.
        let held = unsafe { bindings::tcf_exts_get_net(self.exts.get()) };
        // INVARIANT: The reference was taken above.
        // SAFETY: Nobody else accesses the flag, by the safety requirements of this function.
        unsafe { *self.net_held.get() = held };
        held
    }
}

impl Drop for Exts<'_> {
    fn drop(&mut self) {
        let exts = self.exts.get();
        #[cfg(CONFIG_NET_CLS_ACT)]
        // SAFETY: `exts` is initialised by the type invariant.
        let allocated = unsafe { (*exts).actions } != NoActions::as_ptr();
        #[cfg(not(CONFIG_NET_CLS_ACT))]
        let allocated = true;
        if allocated {
            // SAFETY: By the type invariant the namespace is valid, and the core may free any list
            // but `NO_ACTIONS`.
            unsafe { bindings::tcf_exts_destroy(exts) };
        }
        if *self.net_held.get_mut() {
            // SAFETY: The value holds a reference to the namespace by the type invariant, and does
            // not use it after this.
            unsafe { bindings::tcf_exts_put_net(exts) };
        }
    }
}
