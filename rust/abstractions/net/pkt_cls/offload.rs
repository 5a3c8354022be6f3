// SPDX-License-Identifier: GPL-2.0-only

//! Filters in devices.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use super::{
    Actions,
    Proto, //
};
use crate::abstractions::{
    bindings,
    bpf::TcProg,
    net::netlink::ExtAck,
    sync::rtnl::{
        Caller,
        Rtnl, //
    },
};
use core::{
    cell::UnsafeCell,
    mem::offset_of,
    ptr, //
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

/// Where a filter is to be, and where it is, besides software.
///
/// # Invariants
///
/// The core changes `flags` and `in_hw_count`, under the block's `cb_lock` and `tp->lock`; the bits
/// `SKIP_HW` and `SKIP_SW` of `flags` stay as they were given. `devices` are those that have the
/// filter, `in_hw_count` in number; it is used with RTNL held only, of which [`Device`] is evidence.
pub(crate) struct OffloadState {
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
    pub(crate) fn new(skip: u32) -> Self {
        Self {
            flags: Atomic::new(skip & (flags::SKIP_HW | flags::SKIP_SW)),
            in_hw_count: Atomic::new(0),
            devices: UnsafeCell::new(KVec::new()),
        }
    }

    /// `TCA_CLS_FLAGS_*`: what the user asked for, and one of `IN_HW` and `NOT_IN_HW`.
    pub(crate) fn flags(&self) -> u32 {
        let now = self.flags.load(Relaxed);
        if now & flags::IN_HW != 0 {
            now
        } else {
            now | flags::NOT_IN_HW
        }
    }

    /// What the user asked for.
    pub(crate) fn skip(&self) -> u32 {
        self.flags.load(Relaxed) & (flags::SKIP_HW | flags::SKIP_SW)
    }

    /// Whether no device may have it.
    pub(crate) fn skip_hw(&self) -> bool {
        self.skip() & flags::SKIP_HW != 0
    }

    /// Whether a device has it.
    pub(crate) fn in_hw(&self) -> bool {
        self.flags.load(Relaxed) & flags::IN_HW != 0
    }

    /// Whether that device has it.
    pub(crate) fn is_in(&self, device: &Device<'_>) -> bool {
        self.with_devices(device, |devices| devices.contains(&device.id()))
    }

    /// Makes room for the names of so many devices more. `ENOMEM`.
    pub(crate) fn reserve(&self, device: &Device<'_>, count: usize) -> Result {
        self.with_devices(device, |devices| devices.reserve(count, GFP_KERNEL_ACCOUNT))?;
        Ok(())
    }

    fn with_devices<R>(&self, _rtnl: &Device<'_>, f: impl FnOnce(&mut KVec<DeviceId>) -> R) -> R {
        // SAFETY: RTNL is held by the invariant of `Device`, no method of ours lends it for longer
        // than this, and none calls another inside `f`.
        f(unsafe { &mut *self.devices.get() })
    }

    /// Notes what the core has counted.
    fn set_in(&self, device: &Device<'_>, is_in: bool) -> Result {
        self.with_devices(device, |devices| {
            devices.retain(|id| *id != device.id());
            if is_in {
                // There is room, see `reserve`.
                devices.push(device.id(), GFP_ATOMIC)?;
            }
            Ok(())
        })
    }
}

/// A filter of the `bpf` kind, as a device's driver sees it. C: `struct tc_cls_bpf_offload`.
///
/// A device may keep the program until the filter is taken away from it. A filter that is to be
/// freed while a device has it is therefore lost instead, see [`FilterTable`](super::FilterTable).
pub(crate) struct BpfOffload<'a> {
    /// What a packet is given to.
    pub(crate) prog: &'a TcProg,
    /// What happens to those that match.
    pub(crate) actions: &'a Actions,
    /// What the user calls the program.
    pub(crate) name: Option<&'a CStr>,
    /// Whether the program's return value is the verdict.
    pub(crate) direct_action: bool,
    /// Where it is.
    pub(crate) state: &'a OffloadState,
}

impl BpfOffload<'_> {
    /// The command that makes a device have `new` in place of `old`, one of which is `self`.
    fn command(
        &self,
        tp: &Proto,
        new: Option<&Self>,
        old: Option<&Self>,
        extack: &mut ExtAck<'_>,
    ) -> bindings::tc_cls_bpf_offload {
        let prog = |filter: Option<&Self>| filter.map_or(ptr::null_mut(), |f| f.prog.as_ptr());
        bindings::tc_cls_bpf_offload {
            common: tp.offload_common(self.state.flags(), extack),
            command: bindings::tc_clsbpf_command_TC_CLSBPF_OFFLOAD,
            exts: self.actions.as_ptr(),
            prog: prog(new),
            oldprog: prog(old),
            name: self.name.map_or(ptr::null(), CStr::as_char_ptr),
            exts_integrated: self.direct_action,
        }
    }

    /// Offers the filter to a device, in place of `old` if it has that. Returns whether the device
    /// has the filter now; if not, it has what it had before.
    ///
    /// The errno is the device's, if the filter is to be nowhere but in devices; or `ENOMEM`.
    /// C: `tc_setup_cb_reoffload()`.
    pub(crate) fn offer(
        &self,
        device: &Device<'_>,
        old: Option<&Self>,
        extack: &mut ExtAck<'_>,
    ) -> Result<bool> {
        let old = old.filter(|old| old.state.is_in(device));
        self.state.reserve(device, 1)?;
        let before = self.state.in_hw_count.load(Relaxed);
        let command = self.command(device.tp, Some(self), old, extack);
        device.tell(self, command, true, device.callback)?;
        let accepted = self.state.in_hw_count.load(Relaxed) != before;
        if accepted {
            self.state.set_in(device, true)?;
            if let Some(old) = old {
                // The device knows already; this is for the core, which counts.
                let command = old.command(device.tp, None, Some(old), &mut ExtAck::ignored());
                device.tell(old, command, false, Some(Device::agree))?;
                old.state.set_in(device, false)?;
            }
        }
        Ok(accepted)
    }

    /// Takes the filter away from a device, if it has it. Returns whether the device is without it.
    pub(crate) fn withdraw(&self, device: &Device<'_>, extack: &mut ExtAck<'_>) -> bool {
        if !self.state.is_in(device) {
            return true;
        }
        let before = self.state.in_hw_count.load(Relaxed);
        let command = self.command(device.tp, None, Some(self), extack);
        let told = device.tell(self, command, false, device.callback);
        let without = told.is_ok() && self.state.in_hw_count.load(Relaxed) != before;
        without && self.state.set_in(device, false).is_ok()
    }

    /// Has devices add what they counted to the statistics of the actions. RTNL is taken if a
    /// device's driver needs it. C: `tc_setup_cb_call()` with `TC_CLSBPF_STATS`.
    pub(crate) fn update_stats(&self, caller: &Caller, tp: &Proto) {
        let mut command = self.command(tp, Some(self), None, &mut ExtAck::ignored());
        command.command = bindings::tc_clsbpf_command_TC_CLSBPF_STATS;
        // SAFETY: All are valid during the call.
        unsafe {
            bindings::tc_setup_cb_call(
                tp.block(),
                bindings::tc_setup_type_TC_SETUP_CLSBPF,
                (&raw mut command).cast(),
                false,
                caller.holds_rtnl(),
            )
        };
    }
}

/// A device of an instance's block.
///
/// # Invariants
///
/// RTNL and the block's `cb_lock` are held while the value lives, and `callback` may be called with
/// `private`.
pub(crate) struct Device<'a> {
    tp: &'a Proto,
    callback: bindings::flow_setup_cb_t,
    private: *mut c_void,
}

impl<'a> Device<'a> {
    /// # Safety
    ///
    /// As the type invariant says, for `'a`.
    pub(super) unsafe fn new(
        tp: &'a Proto,
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

    fn id(&self) -> DeviceId {
        DeviceId {
            callback: self.callback.map_or(0, |callback| callback as usize),
            private: self.private as usize,
        }
    }

    /// A callback of a device that does as it is told.
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

    /// Calls the device, and has the core count `filter` up or down if it agrees.
    fn tell(
        &self,
        filter: &BpfOffload<'_>,
        mut command: bindings::tc_cls_bpf_offload,
        add: bool,
        callback: bindings::flow_setup_cb_t,
    ) -> Result {
        let state = filter.state;
        // SAFETY: All are valid during the call. The callback is the device's, or ignores its
        // arguments. RTNL and `cb_lock` are held by the type invariant. What devices keep is kept
        // until they give it back, or for ever.
        to_result(unsafe {
            bindings::tc_setup_cb_reoffload(
                self.tp.block(),
                self.tp.as_ptr(),
                add,
                callback,
                bindings::tc_setup_type_TC_SETUP_CLSBPF,
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
pub(crate) struct Devices<'a> {
    tp: &'a Proto,
    locked: bool,
    _rtnl: &'a Rtnl,
}

impl<'a> Devices<'a> {
    /// Process context.
    ///
    /// The core may drop the last reference to an instance while a device joins the block, and then
    /// this task has `cb_lock` already, exclusively: it must not be waited for.
    pub(crate) fn new(tp: &'a Proto, rtnl: &'a Rtnl) -> Self {
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
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Device<'_>) -> Result) -> Result {
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

impl Drop for Devices<'_> {
    fn drop(&mut self) {
        if self.locked {
            // SAFETY: Locked by this task, by the type invariant.
            unsafe { bindings::up_read(&raw mut (*self.tp.block()).cb_lock) };
        }
    }
}
