// SPDX-License-Identifier: GPL-2.0-only

//! The offload state of filters: which devices have a filter.

use super::{
    device::OffloadDevice,
    flags,
    OffloadCmd,
    Rule, //
};
use crate::abstractions::{
    bindings,
    net::{
        netlink::ExtAck,
        pkt_cls::{
            filter::Filter,
            Classifier,
            TcfProto, //
        }, //
    },
    sync::rtnl::RtnlState, //
};
use core::cell::UnsafeCell;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// The offload flags of a filter, and the devices that have it.
///
/// # Invariants
///
/// The core changes `flags` and `in_hw_count`, under the block's `cb_lock` and `tp->lock`. The bits
/// `SKIP_HW` and `SKIP_SW` of `flags` never change. `devices` are those that have the filter,
/// `in_hw_count` in number. It is only accessed with RTNL held, of which [`OffloadDevice`] is a
/// token.
pub(in crate::abstractions::net::pkt_cls) struct OffloadState {
    pub(super) flags: Atomic<u32>,
    pub(super) in_hw_count: Atomic<u32>,
    devices: UnsafeCell<KVec<DeviceId>>,
}

// SAFETY: RTNL protects `devices`, and the other fields are atomic.
unsafe impl Sync for OffloadState {}

/// Identifies a device of a block: its callback, and the argument of the callback.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct DeviceId {
    pub(super) callback: usize,
    pub(super) private: usize,
}

impl OffloadState {
    /// Creates the state of a filter that no device has. `skip` has none or one of the bits
    /// [`flags::SKIP_HW`] and [`flags::SKIP_SW`].
    pub(in crate::abstractions::net::pkt_cls) fn new(skip: u32) -> Self {
        Self {
            flags: Atomic::new(skip & (flags::SKIP_HW | flags::SKIP_SW)),
            in_hw_count: Atomic::new(0),
            devices: UnsafeCell::new(KVec::new()),
        }
    }

    /// Returns the flags as the user and the core set them.
    pub(in crate::abstractions::net::pkt_cls) fn raw_flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    fn with_devices<T: Classifier, R>(
        &self,
        _rtnl: &OffloadDevice<'_, T>,
        f: impl FnOnce(&mut KVec<DeviceId>) -> R,
    ) -> R {
        // SAFETY: RTNL is held by the invariant of `OffloadDevice`. No method lends the reference
        // for longer than this call, and none calls another one inside `f`.
        f(unsafe { &mut *self.devices.get() })
    }

    /// Records whether a device has the filter, as the core has counted it.
    fn set_in<T: Classifier>(&self, device: &OffloadDevice<'_, T>, is_in: bool) -> Result {
        self.with_devices(device, |devices| {
            devices.retain(|id| *id != device.id());
            if is_in {
                // `Filter::hw_replace` has reserved space.
                devices.push(device.id(), GFP_ATOMIC)?;
            }
            Ok(())
        })
    }
}

impl<T: Classifier> Filter<T> {
    /// Returns `TCA_CLS_FLAGS_*`: the flags that the user set, and one of `IN_HW` and `NOT_IN_HW`.
    pub(crate) fn flags(&self) -> u32 {
        let now = self.offload().raw_flags();
        if now & flags::IN_HW != 0 {
            now
        } else {
            now | flags::NOT_IN_HW
        }
    }

    /// Returns the flags that the user set.
    pub(crate) fn skip(&self) -> u32 {
        self.offload().raw_flags() & (flags::SKIP_HW | flags::SKIP_SW)
    }

    /// Returns whether the user wants the filter in no device.
    pub(crate) fn skip_hw(&self) -> bool {
        self.skip() & flags::SKIP_HW != 0
    }

    /// Returns whether any device has the filter.
    pub(crate) fn in_hw(&self) -> bool {
        self.offload().raw_flags() & flags::IN_HW != 0
    }

    /// Returns whether that device has the filter.
    pub(crate) fn is_in(&self, device: &OffloadDevice<'_, T>) -> bool {
        self.offload()
            .with_devices(device, |devices| devices.contains(&device.id()))
    }

    /// Offers the filter to a device, in place of `old` if the device has that. Returns whether the
    /// device has the filter afterwards. If not, it has what it had before.
    ///
    /// Fails with the driver's errno if the filter is `skip_sw`, or with `ENOMEM`.
    /// C: `tc_setup_cb_reoffload()`.
    pub(crate) fn hw_replace(
        &self,
        device: &OffloadDevice<'_, T>,
        old: Option<&Self>,
        extack: &mut ExtAck<'_>,
    ) -> Result<bool> {
        let old = old.filter(|old| old.is_in(device));
        let state = self.offload();
        state.with_devices(device, |devices| devices.reserve(1, GFP_KERNEL_ACCOUNT))?;
        let before = state.in_hw_count.load(Relaxed);
        let cmd = OffloadCmd::Replace {
            new: self.rule(),
            old: old.map(Self::rule),
        };
        device.setup_cb(self, cmd, device.callback, extack)?;
        let accepted = state.in_hw_count.load(Relaxed) != before;
        if accepted {
            state.set_in(device, true)?;
            if let Some(old) = old {
                // The device has already replaced `old`. This call only makes the core update its
                // count.
                let cmd = OffloadCmd::Destroy { old: old.rule() };
                device.setup_cb(old, cmd, Some(accept_all), &mut ExtAck::ignored())?;
                old.offload().set_in(device, false)?;
            }
        }
        Ok(accepted)
    }

    /// Removes the filter from a device, if the device has it. Returns whether the device is
    /// without it.
    pub(crate) fn hw_destroy(
        &self,
        device: &OffloadDevice<'_, T>,
        extack: &mut ExtAck<'_>,
    ) -> bool {
        if !self.is_in(device) {
            return true;
        }
        let state = self.offload();
        let before = state.in_hw_count.load(Relaxed);
        let cmd = device.setup_cb(
            self,
            OffloadCmd::Destroy { old: self.rule() },
            device.callback,
            extack,
        );
        let without = cmd.is_ok() && state.in_hw_count.load(Relaxed) != before;
        without && state.set_in(device, false).is_ok()
    }

    /// Makes drivers add what the devices counted to the statistics of the actions. Takes RTNL if a
    /// driver needs it. C: `tc_setup_cb_call()`.
    pub(crate) fn update_stats(&self, caller: &RtnlState, tp: &TcfProto<'_, T>) {
        let cmd = OffloadCmd::Stats { rule: self.rule() };
        let mut command = self.command(tp, cmd, &mut ExtAck::ignored());
        // SAFETY: All pointers are valid during the call.
        unsafe {
            bindings::tc_setup_cb_call(
                tp.block(),
                T::Rule::SETUP,
                (&raw mut command).cast(),
                false,
                caller.holds_rtnl(),
            )
        };
    }

    pub(super) fn command(
        &self,
        tp: &TcfProto<'_, T>,
        cmd: OffloadCmd<'_, T::Rule>,
        extack: &mut ExtAck<'_>,
    ) -> <T::Rule as Rule>::Command {
        let common = tp.offload_common(self.flags(), extack);
        T::Rule::command(cmd, common, self.exts(), T::name(self.data()))
    }
}

/// A driver callback that accepts every command.
///
/// # Safety
///
/// None.
unsafe extern "C" fn accept_all(
    _kind: bindings::tc_setup_type,
    _data: *mut c_void,
    _private: *mut c_void,
) -> c_int {
    0
}
