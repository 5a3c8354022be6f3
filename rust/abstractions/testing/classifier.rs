// SPDX-License-Identifier: GPL-2.0-only

//! A `tcf_proto` of a classifier, and the arguments of its callbacks.

use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        Action,
        ClassResult,
        Classifier,
        Exts,
        FilterInit,
        FilterRef,
        FilterTable,
        NewFilter,
        TcfProto,
        Verdict, //
    },
    sync::rtnl::RtnlState, //
};
use core::mem::zeroed;
use kernel::prelude::*;

impl Verdict<'_> {
    /// Returns the action of the verdict.
    pub(crate) fn action(self) -> Action {
        Action::from_code(self.code()).unwrap_or(Action::UNSPEC)
    }
}

/// A `tcf_proto` with a chain and a block of its own.
pub(crate) struct ProtoBuf<T: Classifier> {
    filters: Pin<KBox<FilterTable<T>>>,
    tp: KBox<bindings::tcf_proto>,
    _chain: KBox<bindings::tcf_chain>,
    pub(super) _block: KBox<bindings::tcf_block>,
}

impl<T: Classifier> ProtoBuf<T> {
    /// Creates a `tcf_proto` without filters, qdisc and devices.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: All zeroes are a valid `tcf_proto`, as far as the code under test uses it after
        // the initialisation below.
        let mut tp = KBox::<bindings::tcf_proto>::new(unsafe { zeroed() }, GFP_KERNEL)?;
        // SAFETY: All zeroes are a valid chain, as far as the code under test uses it.
        let mut chain = KBox::<bindings::tcf_chain>::new(unsafe { zeroed() }, GFP_KERNEL)?;
        // SAFETY: All zeroes are a valid block, as far as the code under test uses it after the
        // initialisation below.
        let mut block = KBox::<bindings::tcf_block>::new(unsafe { zeroed() }, GFP_KERNEL)?;
        // SAFETY: The block is on the heap, and is not moved.
        unsafe { bindings::init_rwsem(&mut block.cb_lock) };
        // SAFETY: The block is on the heap, and is not moved.
        unsafe { bindings::INIT_LIST_HEAD_RCU(&mut block.flow_block.cb_list) };
        // SAFETY: The `tcf_proto` is on the heap, and is not moved.
        unsafe { bindings::spin_lock_init(&mut tp.lock) };
        chain.block = &mut *block;
        tp.chain = &mut *chain;
        Ok(Self {
            filters: KBox::try_pin_init(FilterTable::new(), GFP_KERNEL)?,
            tp,
            _chain: chain,
            _block: block,
        })
    }

    /// Returns the `tcf_proto`.
    pub(crate) fn proto(&self) -> TcfProto<'_, T> {
        // SAFETY: The `tcf_proto` lives as long as `self` is borrowed, and this is its table.
        unsafe { TcfProto::new((&raw const *self.tp).cast_mut(), &self.filters) }
    }

    /// Simulates a dump that stops at the filter `at`, and resumes after `change`. Returns the
    /// handle of the filter at which it resumes.
    pub(crate) fn dump_resumes_at(
        &self,
        at: FilterRef<'_, T>,
        change: impl FnOnce(),
    ) -> Option<u32> {
        let dump_cookie = self.filters.dump_cookie(&at);
        drop(at);
        change();
        self.filters
            .at_cookie(dump_cookie)
            .map(|filter| filter.handle())
    }

    /// Marks the `tcf_proto` as being deleted by another request.
    pub(crate) fn set_deleting(&mut self) {
        self.tp.deleting = true;
    }
}

/// Returns the RTNL state of a caller that does not hold RTNL.
pub(crate) fn caller() -> RtnlState {
    // SAFETY: The value does not claim that RTNL is held.
    unsafe { RtnlState::new(false) }
}

/// Returns an empty set of actions, in the initial namespace.
pub(crate) fn no_actions(act: usize, police: usize) -> Exts<'static> {
    let net = &raw mut bindings::init_net;
    // SAFETY: The initial namespace is always valid.
    unsafe { Exts::none(net, act, police) }
}

/// Creates a filter, as a request does.
pub(crate) fn entry<T: Classifier>(parts: FilterInit<'static, T>) -> Result<NewFilter<'static, T>> {
    NewFilter::with_base(0, parts)
}

/// Waits for the filters whose freeing is deferred. The caller must not hold RTNL.
pub(crate) fn flush_deferred() {
    // Unregistering a classifier flushes the workqueue. A module has no other way to do so.
    // SAFETY: All zeroes are a valid table without callbacks.
    let mut ops: bindings::tcf_proto_ops = unsafe { zeroed() };
    // SAFETY: Nothing finds the table: its kind is empty, and it is unlinked immediately.
    if unsafe { bindings::register_tcf_proto_ops(&mut ops) } == 0 {
        // SAFETY: Registered above.
        unsafe { bindings::unregister_tcf_proto_ops(&mut ops) };
    }
}

/// The memory for the result of a classifier (`tcf_result`).
pub(crate) struct ResultBuf(bindings::tcf_result);

impl ResultBuf {
    /// Creates a result with class 0.
    pub(crate) fn new() -> Self {
        // SAFETY: All zeroes are a valid result with class 0.
        Self(unsafe { zeroed() })
    }

    /// Returns the result, to be passed to a classifier.
    pub(crate) fn result(&mut self) -> &mut ClassResult {
        // SAFETY: The type is `repr(transparent)`.
        unsafe { &mut *(&raw mut self.0).cast() }
    }

    /// Returns the class ID.
    pub(crate) fn classid(&self) -> u32 {
        // SAFETY: Both members of the union are plain numbers.
        unsafe { self.0.__bindgen_anon_1.__bindgen_anon_1.classid }
    }
}
