// SPDX-License-Identifier: GPL-2.0-only

//! Devices of a block.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use super::{
    state::DeviceId,
    OffloadCmd,
    Rule, //
};
use crate::abstractions::{
    bindings,
    net::{
        netlink::ExtAck,
        pkt_cls::{
            filter::Filter,
            links::Links,
            Classifier,
            TcfProto, //
        }, //
    },
    sync::rtnl::Rtnl, //
};
use core::mem::offset_of;
use kernel::{
    error::to_result,
    prelude::*,
    ptr::project, //
};

/// A device of the block of a tcf_proto.
///
/// # Invariants
///
/// RTNL and the block's `cb_lock` are held while the value lives. `callback` may be called with
/// `private`.
pub(crate) struct OffloadDevice<'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    pub(super) callback: bindings::flow_setup_cb_t,
    private: *mut c_void,
}

impl<'a, T: Classifier> OffloadDevice<'a, T> {
    /// # Safety
    ///
    /// The type invariant holds for `'a`.
    pub(in crate::abstractions::net::pkt_cls) unsafe fn new(
        tp: TcfProto<'a, T>,
        callback: bindings::flow_setup_cb_t,
        private: *mut c_void,
    ) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            tp,
            callback,
            private,
        }
    }

    /// Returns the tcf_proto.
    pub(crate) fn tp(&self) -> TcfProto<'a, T> {
        self.tp
    }

    pub(super) fn id(&self) -> DeviceId {
        DeviceId {
            callback: self.callback.map_or(0, |callback| callback as usize),
            private: self.private as usize,
        }
    }

    /// Calls the driver. If the driver succeeds, the core updates the offload count of `filter`.
    pub(super) fn setup_cb(
        &self,
        filter: &Filter<T>,
        cmd: OffloadCmd<'_, T::Rule>,
        callback: bindings::flow_setup_cb_t,
        extack: &mut ExtAck<'_>,
    ) -> Result {
        let add = matches!(cmd, OffloadCmd::Replace { .. });
        let mut command = filter.command(&self.tp, cmd, extack);
        let state = filter.offload();
        // SAFETY: All pointers are valid during the call. The callback is the device's, or ignores
        // its arguments. RTNL and `cb_lock` are held by the type invariant. What the driver keeps
        // of the rule stays valid until the driver gives it up, or for ever: see the drop of
        // `Filter`.
        to_result(unsafe {
            bindings::tc_setup_cb_reoffload(
                self.tp.block(),
                self.tp.as_ptr(),
                add,
                callback,
                T::Rule::SETUP,
                (&raw mut command).cast(),
                self.private,
                state.flags.as_ptr(),
                state.in_hw_count.as_ptr(),
            )
        })
    }
}

/// The devices of the block of a tcf_proto to which filters can be offloaded. No device joins or
/// leaves while the value lives.
///
/// # Invariants
///
/// RTNL is held. So no other task holds the block's `cb_lock` exclusively, which is needed to
/// change the list of devices. This task holds `cb_lock` shared if `locked`.
pub(crate) struct OffloadDevices<'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    locked: bool,
    _rtnl: &'a Rtnl,
}

impl<'a, T: Classifier> OffloadDevices<'a, T> {
    /// Locks the list of devices. Process context.
    ///
    /// The core may drop the last reference to a tcf_proto while a device joins the block. Then
    /// this task already holds `cb_lock` exclusively, and waiting for it would deadlock.
    pub(in crate::abstractions::net::pkt_cls) fn new(tp: TcfProto<'a, T>, rtnl: &'a Rtnl) -> Self {
        // SAFETY: The block is valid as long as the tcf_proto.
        let locked = unsafe { bindings::down_read_trylock(tp.cb_lock()) } != 0;
        // INVARIANT: A task that holds the lock exclusively, or waits for it, holds RTNL. By `rtnl`
        // this is only this task.
        Self {
            tp,
            locked,
            _rtnl: rtnl,
        }
    }

    /// Returns whether the block also has devices that do not support offload.
    pub(crate) fn has_others(&self) -> bool {
        // SAFETY: The block is valid. The counter only changes with RTNL held.
        unsafe { (*self.tp.block()).nooffloaddevcnt != 0 }
    }

    /// Calls `f` for each device until `f` fails.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&OffloadDevice<'_, T>) -> Result) -> Result {
        let head = project!(mut self.tp.block(), .flow_block.cb_list);
        // SAFETY: The block is valid, and its list does not change, by the type invariant.
        for links in unsafe { Links::of(head) } {
            let entry = links
                .wrapping_byte_sub(offset_of!(bindings::flow_block_cb, list))
                .cast::<bindings::flow_block_cb>();
            // SAFETY: The entries of the list are valid as long as they are in the list.
            let callback = unsafe { (*entry).cb };
            // SAFETY: The entries of the list are valid as long as they are in the list.
            let private = unsafe { (*entry).cb_priv };
            // SAFETY: RTNL and `cb_lock` are held by the type invariant. The entries are callbacks
            // with their arguments.
            let device = unsafe { OffloadDevice::new(self.tp, callback, private) };
            f(&device)?;
        }
        Ok(())
    }
}

impl<T: Classifier> Drop for OffloadDevices<'_, T> {
    fn drop(&mut self) {
        if self.locked {
            // SAFETY: Locked by this task, by the type invariant.
            unsafe { bindings::up_read(self.tp.cb_lock()) };
        }
    }
}
