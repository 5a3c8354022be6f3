// SPDX-License-Identifier: GPL-2.0-only

//! Instances of a classifier and the block that they belong to, and who may change their filters.

use super::{
    super::{
        netdevice::NetDevice,
        netlink::ExtAck, //
    },
    filter::Filter,
    offload::Devices,
    table::FilterTable,
    Classifier, //
};
#[cfg(lwtcls_kunit)]
use super::{
    ClassResult,
    TcSkb,
    Verdict, //
};
#[cfg(lwtcls_kunit)]
use crate::abstractions::sync::bottom_half::BhDisabled;
use crate::abstractions::{
    bindings,
    sync::rtnl::{
        Caller,
        Held,
        Rtnl, //
    },
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::lock::{
        spinlock::SpinLockBackend,
        Guard,
        Lock, //
    },
    types::NotThreadSafe, //
};

/// An instance of a classifier with its filters: one priority and protocol of one chain.
/// C: `struct tcf_proto` with `tp->root`.
///
/// # Invariants
///
/// The instance is valid for `'a`, and so are its chain and the chain's block. The table is what its
/// root points to.
pub(crate) struct TcfProto<'a, T: Classifier> {
    tp: NonNull<bindings::tcf_proto>,
    filters: &'a FilterTable<T>,
}

impl<T: Classifier> Clone for TcfProto<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Classifier> Copy for TcfProto<'_, T> {}

/// The right to change the filters of an instance.
///
/// While it lasts, no device joins the instance's block or leaves it: what a device was told about
/// the filters, and what it will be told when it joins, is what the table holds.
pub(crate) struct Writer<'w, 'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    right: Right<'w>,
}

enum Right<'a> {
    /// RTNL is not held. The block has no device that takes filters off it.
    Software {
        /// For its drop.
        _none: NoDevices<'a>,
    },
    /// RTNL is held. The block may have devices, which are to be told.
    Rtnl(Held<'a>),
}

impl<'a, T: Classifier> Writer<'_, 'a, T> {
    /// The instance.
    pub(crate) fn tp(&self) -> TcfProto<'a, T> {
        self.tp
    }

    /// RTNL, if it is held.
    pub(crate) fn rtnl(&self) -> Option<&Rtnl> {
        match &self.right {
            Right::Software { .. } => None,
            Right::Rtnl(rtnl) => Some(rtnl),
        }
    }

    /// The devices to tell of a change. `None` if the block has none.
    pub(crate) fn devices(&self) -> Option<Devices<'_, T>> {
        self.rtnl().map(|rtnl| Devices::new(self.tp, rtnl))
    }

    /// Whether the filter can be bound to its class, or unbound: for that RTNL must be held.
    pub(super) fn may_bind(&self, filter: &Filter<T>) -> bool {
        self.rtnl().is_some() || !filter.class().is_some()
    }

    /// Binds a filter to its class.
    pub(super) fn bind(&self, filter: &Filter<T>, base: c_ulong) {
        if let Some(rtnl) = self.rtnl() {
            filter.class().bind(rtnl, self.tp, base);
        }
    }

    /// Unbinds a filter from its class.
    pub(super) fn unbind(&self, filter: &Filter<T>) {
        if let Some(rtnl) = self.rtnl() {
            filter.class().unbind(rtnl, self.tp);
        }
    }
}

/// A token of a block that has no device to offload to. Devices that join wait until it is dropped.
///
/// # Invariants
///
/// The block outlives `'a`, this task holds its `cb_lock` shared, and its list of callbacks is
/// empty.
struct NoDevices<'a>(*mut bindings::tcf_block, PhantomData<&'a ()>, NotThreadSafe);

impl<'a> NoDevices<'a> {
    fn new<T: Classifier>(tp: TcfProto<'a, T>) -> Option<Self> {
        let block = tp.block();
        // SAFETY: The block is valid for as long as the instance. Process context.
        unsafe { bindings::down_read(&raw mut (*block).cb_lock) };
        // INVARIANT: Locked by the line above; if there are callbacks, the drop unlocks at once.
        let this = Self(block, PhantomData, NotThreadSafe);
        // SAFETY: The block is valid, and the lock protects the list.
        unsafe { bindings::list_empty(&raw const (*block).flow_block.cb_list) }.then_some(this)
    }
}

impl Drop for NoDevices<'_> {
    fn drop(&mut self) {
        // SAFETY: Valid, and locked by this task, by the type invariant.
        unsafe { bindings::up_read(&raw mut (*self.0).cb_lock) };
    }
}

impl<'a, T: Classifier> TcfProto<'a, T> {
    /// # Safety
    ///
    /// As the type invariant says.
    pub(in crate::abstractions) unsafe fn new(
        tp: NonNull<bindings::tcf_proto>,
        filters: &'a FilterTable<T>,
    ) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self { tp, filters }
    }

    /// The C view.
    pub(super) fn as_ptr(&self) -> *mut bindings::tcf_proto {
        self.tp.as_ptr()
    }

    pub(super) fn block(&self) -> *mut bindings::tcf_block {
        // SAFETY: An instance has a chain, and that a block, for as long as it lives.
        unsafe { (*(*self.as_ptr()).chain).block }
    }

    /// The filters.
    pub(crate) fn filters(&self) -> &'a FilterTable<T> {
        self.filters
    }

    /// Gets the right to change the instance's filters. RTNL is taken if the block has devices, or
    /// if `needs_rtnl`, unless the caller holds it. May sleep.
    ///
    /// The order of locks is: RTNL, the block's `cb_lock`, the lock of a filter table, `tp->lock`.
    pub(crate) fn writer<'w>(&self, caller: &'w Caller, needs_rtnl: bool) -> Writer<'w, 'a, T>
    where
        'a: 'w,
    {
        let tp = *self;
        if !needs_rtnl && !caller.holds_rtnl() {
            if let Some(none) = NoDevices::new(tp) {
                return Writer {
                    tp,
                    right: Right::Software { _none: none },
                };
            }
        }
        Writer {
            tp,
            right: Right::Rtnl(caller.rtnl()),
        }
    }

    /// Keeps the instance from being deleted until the guard is dropped, which must be soon:
    /// sleeping is not allowed meanwhile. `None` if it is being deleted already.
    pub(super) fn open(&self) -> Option<Guard<'_, (), SpinLockBackend>> {
        let guard = self.lock();
        // SAFETY: Valid by the type invariant, and protected by the lock.
        (!unsafe { (*self.as_ptr()).deleting }).then_some(guard)
    }

    /// If the table is empty, marks the instance as being deleted: nothing comes in any more.
    /// C: `delete_empty`.
    pub(super) fn close_if_empty(&self) -> bool {
        self.filters.if_empty(|| {
            let _guard = self.lock();
            // SAFETY: Valid by the type invariant, and protected by the lock.
            unsafe { (*self.as_ptr()).deleting = true };
        })
    }

    fn lock(&self) -> Guard<'_, (), SpinLockBackend> {
        // SAFETY: The core initialised the lock, which lives as long as the instance.
        unsafe { Lock::from_raw((&raw mut (*self.as_ptr()).lock).cast()) }.lock()
    }

    /// Tells the devices of the block to leave the dst on packets.
    /// C: `tcf_block_netif_keep_dst()`.
    pub(crate) fn keep_dst(&self, _rtnl: &Rtnl) {
        // SAFETY: The block is valid, and its list of owners is serialised by RTNL.
        unsafe { bindings::tcf_block_netif_keep_dst(self.block()) };
    }

    /// Notes that there is a filter which wants software, if this one does.
    /// C: `tcf_proto_update_usesw()`.
    pub(crate) fn update_usesw(&self, filter: &Filter<T>) {
        // SAFETY: Valid by the type invariant. The flag is only ever set.
        unsafe { bindings::tcf_proto_update_usesw(self.as_ptr(), filter.flags()) };
    }

    /// Whether the block belongs to no qdisc in particular. C: `tcf_block_shared()`.
    pub(crate) fn is_shared(&self) -> bool {
        // SAFETY: The block is valid.
        unsafe { bindings::tcf_block_shared(self.block()) }
    }

    /// Whether `f` holds for every device of the block; `false` if it has none. A device is lent for
    /// the call.
    pub(crate) fn all_devices(
        &self,
        _rtnl: &Rtnl,
        mut f: impl for<'d> FnMut(&'d NetDevice) -> bool,
    ) -> bool {
        let block = self.block();
        if !self.is_shared() {
            // SAFETY: A block that is not shared has a qdisc, and that a device, which stays while
            // RTNL is held.
            return f(unsafe {
                NetDevice::from_raw(bindings::qdisc_dev(bindings::tcf_block_q(block)))
            });
        }
        let mut ifindex = 0;
        let mut found = false;
        loop {
            // SAFETY: The block is valid. Its devices come and go under RTNL only, which is held.
            let dev = unsafe {
                let (ports, max) = (&raw mut (*block).ports, c_ulong::MAX);
                if found {
                    bindings::xa_find_after(ports, &mut ifindex, max, bindings::XA_PRESENT)
                } else {
                    bindings::xa_find(ports, &mut ifindex, max, bindings::XA_PRESENT)
                }
            };
            if dev.is_null() {
                return found;
            }
            found = true;
            // SAFETY: The entries are devices, which stay while RTNL is held.
            if !f(unsafe { NetDevice::from_raw(dev.cast()) }) {
                return false;
            }
        }
    }

    /// What drivers are told about any filter of the instance.
    pub(super) fn offload_common(
        &self,
        flags: u32,
        extack: &mut ExtAck<'_>,
    ) -> bindings::flow_cls_common_offload {
        // SAFETY: All zeroes are an empty one.
        let mut common = unsafe { core::mem::zeroed() };
        // SAFETY: All are valid; the extack outlives the driver's call, which the caller makes.
        unsafe {
            bindings::tc_cls_common_offload_init(&mut common, self.as_ptr(), flags, extack.as_ptr())
        };
        common
    }
}

#[cfg(lwtcls_kunit)]
impl<T: Classifier> TcfProto<'_, T> {
    /// Classifies a packet.
    pub(crate) fn classify<'a>(
        &self,
        skb: TcSkb<'a>,
        result: &mut ClassResult,
        bh: &BhDisabled<'_>,
    ) -> Verdict<'a> {
        T::classify(self.filters().iter(&bh.read_side()), skb, result, bh)
    }
}
