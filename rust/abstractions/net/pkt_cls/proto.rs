// SPDX-License-Identifier: GPL-2.0-only

//! tcf_protos, their blocks, and the right to change their filters.

use super::{
    super::{
        netdevice::NetDevice,
        netlink::ExtAck, //
    },
    filter::Filter,
    offload::OffloadDevices,
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
        Rtnl,
        RtnlGuard,
        RtnlState, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    ptr::project,
    sync::lock::{
        spinlock::SpinLockBackend,
        Guard,
        Lock, //
    },
    types::NotThreadSafe, //
};

/// A tcf_proto with its filters: one priority and protocol of a chain. C: `struct tcf_proto` with
/// `tp->root`.
///
/// # Invariants
///
/// The tcf_proto, its chain and the block of the chain are valid for `'a`. `filters` is the table
/// that `tp->root` points to.
pub(crate) struct TcfProto<'a, T: Classifier> {
    tp: *mut bindings::tcf_proto,
    filters: &'a FilterTable<T>,
}

impl<T: Classifier> Clone for TcfProto<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Classifier> Copy for TcfProto<'_, T> {}

/// Permits changes to the filters of a tcf_proto.
///
/// While it exists, no device binds to or unbinds from the block, so offload commands, and those
/// that are replayed for a new device, match the table.
pub(crate) struct Writer<'w, 'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    right: Right<'w>,
}

enum Right<'a> {
    /// RTNL is not held. The block has no device to offload to.
    Software {
        /// Its drop unlocks.
        _none: NoDevices<'a>,
    },
    /// RTNL is held. The block may have devices, which are told about changes.
    Rtnl(RtnlGuard<'a>),
}

impl<'a, T: Classifier> Writer<'_, 'a, T> {
    /// Returns the tcf_proto.
    pub(crate) fn tp(&self) -> TcfProto<'a, T> {
        self.tp
    }

    /// Returns RTNL, if it is held.
    pub(crate) fn rtnl(&self) -> Option<&Rtnl> {
        match &self.right {
            Right::Software { .. } => None,
            Right::Rtnl(rtnl) => Some(rtnl),
        }
    }

    /// Returns the devices to tell about a change. `None` if RTNL is not held: then the block has
    /// none.
    pub(crate) fn devices(&self) -> Option<OffloadDevices<'_, T>> {
        self.rtnl().map(|rtnl| OffloadDevices::new(self.tp, rtnl))
    }

    /// Returns whether the filter can be bound to its class, or unbound. A filter with a class
    /// needs RTNL for that.
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

/// A token of a block without devices to offload to. Devices that join wait until it is dropped.
///
/// # Invariants
///
/// The block outlives `'a`. This task holds its `cb_lock` shared, and its list of callbacks is
/// empty.
struct NoDevices<'a>(*mut bindings::tcf_block, PhantomData<&'a ()>, NotThreadSafe);

impl<'a> NoDevices<'a> {
    fn new<T: Classifier>(tp: TcfProto<'a, T>) -> Option<Self> {
        let block = tp.block();
        // SAFETY: The block is valid as long as the tcf_proto. Process context.
        unsafe { bindings::down_read(tp.cb_lock()) };
        // INVARIANT: Locked above. If there are callbacks, the value is dropped and unlocks at
        // once.
        let this = Self(block, PhantomData, NotThreadSafe);
        let callbacks = project!(block, .flow_block.cb_list);
        // SAFETY: The block is valid, and the lock protects the list.
        unsafe { bindings::list_empty(callbacks) }.then_some(this)
    }
}

impl Drop for NoDevices<'_> {
    fn drop(&mut self) {
        let lock = project!(mut self.0, .cb_lock);
        // SAFETY: Valid, and locked by this task, by the type invariant.
        unsafe { bindings::up_read(lock) };
    }
}

impl<'a, T: Classifier> TcfProto<'a, T> {
    /// # Safety
    ///
    /// The type invariant holds.
    pub(in crate::abstractions) unsafe fn new(
        tp: *mut bindings::tcf_proto,
        filters: &'a FilterTable<T>,
    ) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self { tp, filters }
    }

    /// Returns the raw pointer.
    pub(super) fn as_ptr(&self) -> *mut bindings::tcf_proto {
        self.tp
    }

    /// Returns the chain, which is valid as long as the tcf_proto.
    pub(super) fn chain(&self) -> *mut bindings::tcf_chain {
        // SAFETY: The tcf_proto is valid by the type invariant.
        unsafe { (*self.as_ptr()).chain }
    }

    /// Returns the block, which is valid as long as the tcf_proto.
    pub(super) fn block(&self) -> *mut bindings::tcf_block {
        // SAFETY: A tcf_proto has a chain for as long as it is valid.
        unsafe { (*self.chain()).block }
    }

    /// Returns the lock of the block for its list of devices.
    pub(super) fn cb_lock(&self) -> *mut bindings::rw_semaphore {
        project!(mut self.block(), .cb_lock)
    }

    /// Returns the qdisc of a block that is not shared. It is valid while RTNL is held.
    pub(super) fn qdisc(&self) -> *mut bindings::Qdisc {
        // SAFETY: The block is valid.
        unsafe { bindings::tcf_block_q(self.block()) }
    }

    /// Returns the filters.
    pub(crate) fn filters(&self) -> &'a FilterTable<T> {
        self.filters
    }

    /// Returns the right to change the filters. Takes RTNL, unless the caller holds it, if the
    /// block has devices or `needs_rtnl` is set. May sleep.
    ///
    /// The order of locks is: RTNL, the block's `cb_lock`, the lock of a filter table, `tp->lock`.
    pub(crate) fn writer<'w>(&self, caller: &'w RtnlState, needs_rtnl: bool) -> Writer<'w, 'a, T>
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

    /// Locks `tp->lock`, which keeps the tcf_proto from being marked for deletion. Returns `None`
    /// if it is already marked. The caller must not sleep while it holds the guard.
    pub(super) fn open(&self) -> Option<Guard<'_, (), SpinLockBackend>> {
        let guard = self.lock();
        // SAFETY: Valid by the type invariant, and protected by the lock.
        (!unsafe { (*self.as_ptr()).deleting }).then_some(guard)
    }

    /// Marks the tcf_proto for deletion if its table is empty, so that no filter can be added any
    /// more. Returns whether it did so. C: `delete_empty`.
    pub(super) fn close_if_empty(&self) -> bool {
        self.filters.if_empty(|| {
            let _guard = self.lock();
            // SAFETY: Valid by the type invariant, and protected by the lock.
            unsafe { (*self.as_ptr()).deleting = true };
        })
    }

    fn lock(&self) -> Guard<'_, (), SpinLockBackend> {
        let lock = project!(mut self.as_ptr(), .lock);
        // SAFETY: The core initialised the lock, which is valid as long as the tcf_proto.
        unsafe { Lock::from_raw(lock.cast()) }.lock()
    }

    /// Makes the devices of the block keep the dst of packets. C: `tcf_block_netif_keep_dst()`.
    pub(crate) fn keep_dst(&self, _rtnl: &Rtnl) {
        // SAFETY: The block is valid. RTNL serialises access to its list of owners.
        unsafe { bindings::tcf_block_netif_keep_dst(self.block()) };
    }

    /// Records that there is a filter for software, unless this one only runs on devices.
    /// C: `tcf_proto_update_usesw()`.
    pub(crate) fn update_usesw(&self, filter: &Filter<T>) {
        // SAFETY: Valid by the type invariant. The flag is only ever set.
        unsafe { bindings::tcf_proto_update_usesw(self.as_ptr(), filter.flags()) };
    }

    /// Returns whether the block is shared, and so has no qdisc of its own.
    /// C: `tcf_block_shared()`.
    pub(crate) fn is_shared(&self) -> bool {
        // SAFETY: The block is valid.
        unsafe { bindings::tcf_block_shared(self.block()) }
    }

    /// Returns whether `f` holds for all devices of the block, `false` if it has none. `f` may only
    /// use a device during the call.
    pub(crate) fn all_devices(
        &self,
        _rtnl: &Rtnl,
        mut f: impl for<'d> FnMut(&'d NetDevice) -> bool,
    ) -> bool {
        if !self.is_shared() {
            // SAFETY: A block that is not shared has a qdisc, which stays while RTNL is held.
            let dev = unsafe { bindings::qdisc_dev(self.qdisc()) };
            // SAFETY: A qdisc has a device, which stays while RTNL is held.
            return f(unsafe { NetDevice::from_raw(dev) });
        }
        let (ports, max) = (project!(mut self.block(), .ports), c_ulong::MAX);
        let mut ifindex = 0;
        let mut found = false;
        loop {
            let dev = if found {
                // SAFETY: The block is valid. Its list of devices only changes under RTNL, which is
                // held.
                unsafe { bindings::xa_find_after(ports, &mut ifindex, max, bindings::XA_PRESENT) }
            } else {
                // SAFETY: The block is valid. Its list of devices only changes under RTNL, which is
                // held.
                unsafe { bindings::xa_find(ports, &mut ifindex, max, bindings::XA_PRESENT) }
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

    /// Returns what drivers are told about all filters of the tcf_proto.
    pub(super) fn offload_common(
        &self,
        flags: u32,
        extack: &mut ExtAck<'_>,
    ) -> bindings::flow_cls_common_offload {
        // SAFETY: All zeroes are a valid value.
        let mut common = unsafe { core::mem::zeroed() };
        // SAFETY: All pointers are valid. The extack outlives the call of the driver, which the
        // caller makes.
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
