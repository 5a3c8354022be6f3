// SPDX-License-Identifier: GPL-2.0-only

//! Filters in devices.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use super::{
    exts::Exts,
    filter::Filter,
    Classifier,
    TcfProto, //
};
use crate::abstractions::{
    bindings,
    net::netlink::ExtAck,
    sync::rtnl::{
        Caller,
        Rtnl, //
    },
};
use core::{
    cell::UnsafeCell,
    mem::offset_of, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Bits of `TCA_BPF_FLAGS_GEN` and its like, common to all classifiers.
pub(crate) mod flags {
    use crate::abstractions::bindings;

    /// The user wants it in no device.
    pub(crate) const SKIP_HW: u32 = bindings::TCA_CLS_FLAGS_SKIP_HW;
    /// The user wants it nowhere but in devices.
    pub(crate) const SKIP_SW: u32 = bindings::TCA_CLS_FLAGS_SKIP_SW;
    /// A device has it (reported only).
    pub(crate) const IN_HW: u32 = bindings::TCA_CLS_FLAGS_IN_HW;
    /// No device has it (reported only).
    pub(crate) const NOT_IN_HW: u32 = bindings::TCA_CLS_FLAGS_NOT_IN_HW;
}

/// What the driver of a device is told about a filter.
pub(crate) enum Told<'a, R> {
    /// The device is to have a filter; in place of an old one, if it has that.
    Has {
        /// What it is to have.
        new: &'a R,
        /// What it has.
        old: Option<&'a R>,
    },
    /// The device is to be without a filter.
    Gone {
        /// What it has.
        old: &'a R,
    },
    /// The device is to say what it has counted.
    Count {
        /// What it may have.
        rule: &'a R,
    },
}

/// What a filter does, as far as drivers are told.
///
/// # Safety
///
/// A driver that is told of a rule may keep nothing of it but what [`Self::leak`] leaves valid for
/// ever; the rest is its for the call.
pub(crate) unsafe trait Rule: Sized + Send + Sync {
    /// The command's number.
    const SETUP: bindings::tc_setup_type;

    /// The command.
    type Command;

    /// Makes the command. `name` is what the user calls the filter.
    fn command(
        told: Told<'_, Self>,
        common: bindings::flow_cls_common_offload,
        exts: &Exts<'_>,
        name: Option<&CStr>,
    ) -> Self::Command;

    /// Ends the rule, but for what a driver may keep.
    fn leak(self);
}

/// Where a filter is to be, and where it is, besides software.
///
/// # Invariants
///
/// The core changes `flags` and `in_hw_count`, under the block's `cb_lock` and `tp->lock`; the bits
/// `SKIP_HW` and `SKIP_SW` of `flags` stay as they were given. `devices` are those that have the
/// filter, `in_hw_count` in number; it is used with RTNL held only, of which [`Device`] is a token.
pub(super) struct OffloadState {
    flags: Atomic<u32>,
    in_hw_count: Atomic<u32>,
    devices: UnsafeCell<KVec<DeviceId>>,
}

// SAFETY: RTNL protects `devices`, and the rest is atomic.
unsafe impl Sync for OffloadState {}

/// What tells a device of a block from the others: its callback, and what that is called with.
#[derive(Clone, Copy, PartialEq, Eq)]
struct DeviceId {
    callback: usize,
    private: usize,
}

impl OffloadState {
    /// In no device. `skip` has none or one of the bits [`flags::SKIP_HW`] and
    /// [`flags::SKIP_SW`].
    pub(super) fn new(skip: u32) -> Self {
        Self {
            flags: Atomic::new(skip & (flags::SKIP_HW | flags::SKIP_SW)),
            in_hw_count: Atomic::new(0),
            devices: UnsafeCell::new(KVec::new()),
        }
    }

    /// What the user and the core have set.
    pub(super) fn raw_flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    fn with_devices<T: Classifier, R>(
        &self,
        _rtnl: &Device<'_, T>,
        f: impl FnOnce(&mut KVec<DeviceId>) -> R,
    ) -> R {
        // SAFETY: RTNL is held by the invariant of `Device`, no method of ours lends it for longer
        // than this, and none calls another inside `f`.
        f(unsafe { &mut *self.devices.get() })
    }

    /// Notes what the core has counted.
    fn set_in<T: Classifier>(&self, device: &Device<'_, T>, is_in: bool) -> Result {
        self.with_devices(device, |devices| {
            devices.retain(|id| *id != device.id());
            if is_in {
                // There is room, see `Filter::offer`.
                devices.push(device.id(), GFP_ATOMIC)?;
            }
            Ok(())
        })
    }
}

impl<T: Classifier> Filter<T> {
    /// `TCA_CLS_FLAGS_*`: what the user asked for, and one of `IN_HW` and `NOT_IN_HW`.
    pub(crate) fn flags(&self) -> u32 {
        let now = self.offload().raw_flags();
        if now & flags::IN_HW != 0 {
            now
        } else {
            now | flags::NOT_IN_HW
        }
    }

    /// What the user asked for.
    pub(crate) fn skip(&self) -> u32 {
        self.offload().raw_flags() & (flags::SKIP_HW | flags::SKIP_SW)
    }

    /// Whether no device may have it.
    pub(crate) fn skip_hw(&self) -> bool {
        self.skip() & flags::SKIP_HW != 0
    }

    /// Whether a device has it.
    pub(crate) fn in_hw(&self) -> bool {
        self.offload().raw_flags() & flags::IN_HW != 0
    }

    /// Whether that device has it.
    pub(crate) fn is_in(&self, device: &Device<'_, T>) -> bool {
        self.offload()
            .with_devices(device, |devices| devices.contains(&device.id()))
    }

    /// Offers the filter to a device, in place of `old` if it has that. Returns whether the device
    /// has the filter now; if not, it has what it had before.
    ///
    /// The errno is the device's, if the filter is to be nowhere but in devices; or `ENOMEM`.
    /// C: `tc_setup_cb_reoffload()`.
    pub(crate) fn offer(
        &self,
        device: &Device<'_, T>,
        old: Option<&Self>,
        extack: &mut ExtAck<'_>,
    ) -> Result<bool> {
        let old = old.filter(|old| old.is_in(device));
        let state = self.offload();
        state.with_devices(device, |devices| devices.reserve(1, GFP_KERNEL_ACCOUNT))?;
        let before = state.in_hw_count.load(Relaxed);
        let told = Told::Has {
            new: self.rule(),
            old: old.map(Self::rule),
        };
        device.tell(self, told, device.callback, extack)?;
        let accepted = state.in_hw_count.load(Relaxed) != before;
        if accepted {
            state.set_in(device, true)?;
            if let Some(old) = old {
                // The device knows already; this is for the core, which counts.
                let told = Told::Gone { old: old.rule() };
                device.tell(old, told, Some(agree), &mut ExtAck::ignored())?;
                old.offload().set_in(device, false)?;
            }
        }
        Ok(accepted)
    }

    /// Takes the filter away from a device, if it has it. Returns whether the device is without it.
    pub(crate) fn withdraw(&self, device: &Device<'_, T>, extack: &mut ExtAck<'_>) -> bool {
        if !self.is_in(device) {
            return true;
        }
        let state = self.offload();
        let before = state.in_hw_count.load(Relaxed);
        let told = device.tell(
            self,
            Told::Gone { old: self.rule() },
            device.callback,
            extack,
        );
        let without = told.is_ok() && state.in_hw_count.load(Relaxed) != before;
        without && state.set_in(device, false).is_ok()
    }

    /// Has devices add what they counted to the statistics of the actions. RTNL is taken if a
    /// device's driver needs it. C: `tc_setup_cb_call()`.
    pub(crate) fn update_stats(&self, caller: &Caller, tp: &TcfProto<'_, T>) {
        let told = Told::Count { rule: self.rule() };
        let mut command = self.command(tp, told, &mut ExtAck::ignored());
        // SAFETY: All are valid during the call.
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

    fn command(
        &self,
        tp: &TcfProto<'_, T>,
        told: Told<'_, T::Rule>,
        extack: &mut ExtAck<'_>,
    ) -> <T::Rule as Rule>::Command {
        let common = tp.offload_common(self.flags(), extack);
        T::Rule::command(told, common, self.exts(), T::name(self.data()))
    }
}

/// The callback of a device that does as it is told.
///
/// # Safety
///
/// None.
unsafe extern "C" fn agree(
    _kind: bindings::tc_setup_type,
    _data: *mut c_void,
    _private: *mut c_void,
) -> c_int {
    0
}

/// A device of an instance's block.
///
/// # Invariants
///
/// RTNL and the block's `cb_lock` are held while the value lives, and `callback` may be called with
/// `private`.
pub(crate) struct Device<'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    callback: bindings::flow_setup_cb_t,
    private: *mut c_void,
}

impl<'a, T: Classifier> Device<'a, T> {
    /// # Safety
    ///
    /// As the type invariant says, for `'a`.
    pub(super) unsafe fn new(
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

    /// The instance.
    pub(crate) fn tp(&self) -> TcfProto<'a, T> {
        self.tp
    }

    fn id(&self) -> DeviceId {
        DeviceId {
            callback: self.callback.map_or(0, |callback| callback as usize),
            private: self.private as usize,
        }
    }

    /// Calls the device, and has the core count `filter` up or down if it agrees.
    fn tell(
        &self,
        filter: &Filter<T>,
        told: Told<'_, T::Rule>,
        callback: bindings::flow_setup_cb_t,
        extack: &mut ExtAck<'_>,
    ) -> Result {
        let add = matches!(told, Told::Has { .. });
        let mut command = filter.command(&self.tp, told, extack);
        let state = filter.offload();
        // SAFETY: All are valid during the call. The callback is the device's, or ignores its
        // arguments. RTNL and `cb_lock` are held by the type invariant. What the device keeps of
        // the rule is kept until it gives it up, or for ever: see the drop of `Filter`.
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

/// The devices of an instance's block that filters can be offered to. None joins or leaves while
/// the value lives.
///
/// # Invariants
///
/// RTNL is held: nobody else holds the block's `cb_lock` exclusively, which it takes to change the
/// list of devices. This task holds it shared if `locked`.
pub(crate) struct Devices<'a, T: Classifier> {
    tp: TcfProto<'a, T>,
    locked: bool,
    _rtnl: &'a Rtnl,
}

impl<'a, T: Classifier> Devices<'a, T> {
    /// Process context.
    ///
    /// The core may drop the last reference to an instance while a device joins the block, and then
    /// this task has `cb_lock` already, exclusively: it must not be waited for.
    pub(super) fn new(tp: TcfProto<'a, T>, rtnl: &'a Rtnl) -> Self {
        // SAFETY: The block is valid for as long as the instance.
        let locked = unsafe { bindings::down_read_trylock(&raw mut (*tp.block()).cb_lock) } != 0;
        // INVARIANT: Whoever holds the lock exclusively, or waits to, holds RTNL: nobody but this
        // task, by `rtnl`.
        Self {
            tp,
            locked,
            _rtnl: rtnl,
        }
    }

    /// Whether the block has devices, too, that no filter can be offered to.
    pub(crate) fn has_others(&self) -> bool {
        // SAFETY: The block is valid; the number changes with RTNL held only.
        unsafe { (*self.tp.block()).nooffloaddevcnt != 0 }
    }

    /// Calls `f` for each, until it fails.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Device<'_, T>) -> Result) -> Result {
        // SAFETY: The block is valid, and its list does not change by the type invariant. The
        // entries are callbacks, each with what it wants to be called with.
        unsafe {
            let head = &raw mut (*self.tp.block()).flow_block.cb_list;
            let mut at = (*head).next;
            while at != head {
                let entry = at
                    .wrapping_byte_sub(offset_of!(bindings::flow_block_cb, list))
                    .cast::<bindings::flow_block_cb>();
                f(&Device::new(self.tp, (*entry).cb, (*entry).cb_priv))?;
                at = (*at).next;
            }
        }
        Ok(())
    }
}

impl<T: Classifier> Drop for Devices<'_, T> {
    fn drop(&mut self) {
        if self.locked {
            // SAFETY: Locked by this task, by the type invariant.
            unsafe { bindings::up_read(&raw mut (*self.tp.block()).cb_lock) };
        }
    }
}
