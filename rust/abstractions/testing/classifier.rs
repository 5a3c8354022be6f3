// SPDX-License-Identifier: GPL-2.0-only

//! Instances of a classifier, and what calls it.

use crate::abstractions::{
    bindings,
    net::pkt_cls::{
        Action,
        ClassResult,
        Classifier,
        Entry,
        Exts,
        FilterRef,
        FilterTable,
        Parts,
        TcfProto,
        Verdict, //
    },
    sync::rtnl::Caller, //
};
use core::{
    mem::zeroed,
    ptr::NonNull, //
};
use kernel::prelude::*;

impl Verdict<'_> {
    /// What becomes of the packet.
    pub(crate) fn action(self) -> Action {
        Action::from_code(self.code()).unwrap_or(Action::UNSPEC)
    }
}

/// An instance of a classifier, with a chain and a block that nothing else knows.
pub(crate) struct ProtoBuf<T: Classifier> {
    filters: Pin<KBox<FilterTable<T>>>,
    tp: KBox<bindings::tcf_proto>,
    _chain: KBox<bindings::tcf_chain>,
    _block: KBox<bindings::tcf_block>,
}

impl<T: Classifier> ProtoBuf<T> {
    /// One without filters, qdisc and devices.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: All zeroes are an instance, a chain and a block of use where only what follows
        // is looked at.
        let (mut tp, mut chain, mut block) = unsafe {
            (
                KBox::<bindings::tcf_proto>::new(zeroed(), GFP_KERNEL)?,
                KBox::<bindings::tcf_chain>::new(zeroed(), GFP_KERNEL)?,
                KBox::<bindings::tcf_block>::new(zeroed(), GFP_KERNEL)?,
            )
        };
        // SAFETY: All of it stays where it is, on the heap.
        unsafe {
            bindings::init_rwsem(&mut block.cb_lock);
            bindings::INIT_LIST_HEAD_RCU(&mut block.flow_block.cb_list);
            bindings::spin_lock_init(&mut tp.lock);
        }
        chain.block = &mut *block;
        tp.chain = &mut *chain;
        Ok(Self {
            filters: KBox::try_pin_init(FilterTable::new(), GFP_KERNEL)?,
            tp,
            _chain: chain,
            _block: block,
        })
    }

    /// The instance.
    pub(crate) fn proto(&self) -> TcfProto<'_, T> {
        // SAFETY: The instance stays while it is borrowed, and has no other table.
        unsafe { TcfProto::new(NonNull::from(&*self.tp), &self.filters) }
    }

    /// Where a dump goes on that stopped at a filter, if `change` is called meanwhile.
    pub(crate) fn resume(&self, at: FilterRef<'_, T>, change: impl FnOnce()) -> Option<u32> {
        let bookmark = self.filters.bookmark(&at);
        drop(at);
        change();
        self.filters
            .at_bookmark(bookmark)
            .map(|filter| filter.handle())
    }

    /// Marks the instance as one that another request deletes.
    pub(crate) fn set_deleting(&mut self) {
        self.tp.deleting = true;
    }
}

/// Somebody who does not hold RTNL.
pub(crate) fn caller() -> Caller {
    // SAFETY: Nothing is claimed to be held.
    unsafe { Caller::new(false) }
}

/// No actions, in the first namespace.
pub(crate) fn no_actions(act: usize, police: usize) -> Result<Exts<'static>> {
    // SAFETY: That namespace is for ever.
    unsafe { Exts::none(&raw mut bindings::init_net, act, police) }
}

/// A filter as a request would make it.
pub(crate) fn entry<T: Classifier>(parts: Parts<'static, T>) -> Result<Entry<'static, T>> {
    Entry::with_base(0, parts)
}

/// Waits until all filters are freed that wait for it. RTNL must not be held.
pub(crate) fn flush_deferred() {
    // What was queued before is waited for: the queue is flushed by an unregistration, and there
    // is no other way to it for a module.
    // SAFETY: The table is never found: its kind is empty, and it is unlinked at once.
    unsafe {
        let mut ops: bindings::tcf_proto_ops = zeroed();
        if bindings::register_tcf_proto_ops(&mut ops) == 0 {
            bindings::unregister_tcf_proto_ops(&mut ops);
        }
    }
}

/// Where a classifier puts a class.
pub(crate) struct ResultBuf(bindings::tcf_result);

impl ResultBuf {
    /// Class 0.
    pub(crate) fn new() -> Self {
        // SAFETY: All zeroes are class 0.
        Self(unsafe { zeroed() })
    }

    /// For passing on.
    pub(crate) fn result(&mut self) -> &mut ClassResult {
        // SAFETY: The type is transparent.
        unsafe { &mut *(&raw mut self.0).cast() }
    }

    /// The class.
    pub(crate) fn classid(&self) -> u32 {
        // SAFETY: Both members of the union are plain numbers.
        unsafe { self.0.__bindgen_anon_1.__bindgen_anon_1.classid }
    }
}
