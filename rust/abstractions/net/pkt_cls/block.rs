// SPDX-License-Identifier: GPL-2.0-only

//! Instances of a classifier and the block that they belong to, and who may change them.

use super::{
    super::{
        netdevice::NetDevice,
        netlink::ExtAck, //
    },
    offload::OffloadState, //
};
use crate::abstractions::{
    bindings,
    sync::rtnl::{
        Caller,
        Held,
        Rtnl, //
    },
};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    sync::lock::{
        spinlock::SpinLockBackend,
        Guard,
        Lock, //
    },
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// An instance of a classifier: one priority and protocol of one chain. C: `struct tcf_proto`.
#[repr(transparent)]
pub(crate) struct Proto(Opaque<bindings::tcf_proto>);

/// The right to change the filters of an instance.
///
/// While it lasts, no device joins the instance's block or leaves it: what a device was told about
/// the filters, and what it will be told when it joins, is what the table holds.
pub(crate) enum Writer<'a> {
    /// RTNL is not held. The block has no device that takes filters off it.
    Software {
        /// For its drop.
        _none: NoDevices<'a>,
    },
    /// RTNL is held. The block may have devices, which are to be told.
    Devices(Held<'a>),
}

impl Writer<'_> {
    /// RTNL, if it is held.
    pub(crate) fn rtnl(&self) -> Option<&Rtnl> {
        match self {
            Self::Software { .. } => None,
            Self::Devices(rtnl) => Some(rtnl),
        }
    }
}

/// Evidence that a block has no device to offload to. Devices that join wait until it is dropped.
///
/// # Invariants
///
/// The block outlives `'a`, this task holds its `cb_lock` shared, and its list of callbacks is
/// empty.
pub(crate) struct NoDevices<'a>(*mut bindings::tcf_block, PhantomData<&'a ()>, NotThreadSafe);

impl<'a> NoDevices<'a> {
    fn new(tp: &'a Proto) -> Option<Self> {
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

impl Proto {
    /// # Safety
    ///
    /// `tp` is valid for `'a`, and so are its chain and the chain's block.
    pub(in crate::abstractions) unsafe fn from_raw<'a>(tp: *mut bindings::tcf_proto) -> &'a Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &*tp.cast() }
    }

    /// The C view.
    pub(super) fn as_ptr(&self) -> *mut bindings::tcf_proto {
        self.0.get()
    }

    pub(super) fn block(&self) -> *mut bindings::tcf_block {
        // SAFETY: An instance has a chain, and that a block, for as long as it lives.
        unsafe { (*(*self.0.get()).chain).block }
    }

    /// Gets the right to change the instance's filters. RTNL is taken if the block has devices, or
    /// if the change itself needs it, unless the caller holds it. May sleep.
    ///
    /// The order of locks is: RTNL, the block's `cb_lock`, the lock of a filter table, `tp->lock`.
    pub(crate) fn writer<'a>(&'a self, caller: &'a Caller, needs_rtnl: bool) -> Writer<'a> {
        if !needs_rtnl && !caller.holds_rtnl() {
            if let Some(none) = NoDevices::new(self) {
                return Writer::Software { _none: none };
            }
        }
        Writer::Devices(caller.rtnl())
    }

    /// Keeps the instance from being deleted until the guard is dropped, which must be soon:
    /// sleeping is not allowed meanwhile. `None` if it is being deleted already.
    pub(super) fn open(&self) -> Option<Guard<'_, (), SpinLockBackend>> {
        let guard = self.lock();
        // SAFETY: Valid by the reference, and protected by the lock.
        (!unsafe { (*self.0.get()).deleting }).then_some(guard)
    }

    /// Marks the instance as being deleted.
    pub(super) fn set_deleting(&self) {
        let _guard = self.lock();
        // SAFETY: Valid by the reference, and protected by the lock.
        unsafe { (*self.0.get()).deleting = true };
    }

    fn lock(&self) -> Guard<'_, (), SpinLockBackend> {
        // SAFETY: The core initialised the lock, which lives as long as the instance.
        unsafe { Lock::from_raw((&raw mut (*self.0.get()).lock).cast()) }.lock()
    }

    /// Tells the devices of the block to leave the dst on packets.
    /// C: `tcf_block_netif_keep_dst()`.
    pub(crate) fn keep_dst(&self, _rtnl: &Rtnl) {
        // SAFETY: The block is valid, and its list of owners is serialised by RTNL.
        unsafe { bindings::tcf_block_netif_keep_dst(self.block()) };
    }

    /// Notes that there is a filter which wants software, if this one does.
    /// C: `tcf_proto_update_usesw()`.
    pub(crate) fn update_usesw(&self, state: &OffloadState) {
        // SAFETY: Valid by the reference. The flag is only ever set.
        unsafe { bindings::tcf_proto_update_usesw(self.0.get(), state.flags()) };
    }

    /// Whether the block belongs to no qdisc in particular. C: `tcf_block_shared()`.
    pub(crate) fn is_shared(&self) -> bool {
        // SAFETY: The block is valid.
        unsafe { bindings::tcf_block_shared(self.block()) }
    }

    /// Whether `f` holds for every device of the block; `false` if it has none.
    pub(crate) fn all_devices(&self, _rtnl: &Rtnl, mut f: impl FnMut(&NetDevice) -> bool) -> bool {
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
        // SAFETY: The block is valid. Devices come and go under RTNL only.
        let ports = unsafe { &raw mut (*block).ports };
        // SAFETY: As above.
        let mut dev =
            unsafe { bindings::xa_find(ports, &mut ifindex, c_ulong::MAX, bindings::XA_PRESENT) };
        while !dev.is_null() {
            found = true;
            // SAFETY: The entries are devices, which stay while RTNL is held.
            if !f(unsafe { NetDevice::from_raw(dev.cast()) }) {
                return false;
            }
            // SAFETY: As above.
            dev = unsafe {
                bindings::xa_find_after(ports, &mut ifindex, c_ulong::MAX, bindings::XA_PRESENT)
            };
        }
        found
    }

    /// What drivers are told about any filter of the instance.
    pub(super) fn offload_common(
        &self,
        flags: u32,
        extack: &mut ExtAck<'_>,
    ) -> bindings::flow_cls_common_offload {
        // SAFETY: All zeroes are an empty one.
        let mut common = unsafe { core::mem::zeroed() };
        // SAFETY: All are valid; the sentence outlives the call of the driver, which is the caller's.
        unsafe {
            bindings::tc_cls_common_offload_init(&mut common, self.0.get(), flags, extack.as_ptr())
        };
        common
    }
}
