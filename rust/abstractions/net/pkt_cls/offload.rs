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
use core::ptr;
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
/// The core changes both numbers, under the block's `cb_lock` and `tp->lock`; the bits `SKIP_HW` and
/// `SKIP_SW` of `flags` stay as they were given.
pub(crate) struct OffloadState {
    flags: Atomic<u32>,
    in_hw_count: Atomic<u32>,
}

impl OffloadState {
    /// In no device. `skip` has none or one of the bits [`flags::SKIP_HW`] and
    /// [`flags::SKIP_SW`].
    pub(crate) fn new(skip: u32) -> Self {
        Self {
            flags: Atomic::new(skip & (flags::SKIP_HW | flags::SKIP_SW)),
            in_hw_count: Atomic::new(0),
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

    /// Whether only devices may have it.
    pub(crate) fn skip_sw(&self) -> bool {
        self.skip() & flags::SKIP_SW != 0
    }

    /// Whether a device has it.
    pub(crate) fn in_hw(&self) -> bool {
        self.flags.load(Relaxed) & flags::IN_HW != 0
    }

    /// The numbers for the core, which changes them.
    fn as_ptrs(&self) -> (*mut u32, *mut u32) {
        (self.flags.as_ptr(), self.in_hw_count.as_ptr())
    }
}

/// A filter of the `bpf` kind, as a device's driver sees it. C: `struct tc_cls_bpf_offload`.
///
/// A device may keep the program until the filter is taken away from it. A filter that is freed
/// while a device has it is therefore not freed, see [`FilterTable`](super::FilterTable).
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
    /// The command that makes a device have `new` in place of `old`.
    fn command(
        tp: &Proto,
        new: Option<&Self>,
        old: Option<&Self>,
        described: &Self,
        extack: &mut ExtAck<'_>,
    ) -> bindings::tc_cls_bpf_offload {
        let prog = |filter: Option<&Self>| filter.map_or(ptr::null_mut(), |f| f.prog.as_ptr());
        bindings::tc_cls_bpf_offload {
            common: tp.offload_common(described.state.flags(), extack),
            command: bindings::tc_clsbpf_command_TC_CLSBPF_OFFLOAD,
            exts: described.actions.as_ptr(),
            prog: prog(new),
            oldprog: prog(old),
            name: described.name.map_or(ptr::null(), CStr::as_char_ptr),
            exts_integrated: described.direct_action,
        }
    }

    /// Offers the filter to the devices of the block.
    ///
    /// A device's refusal is an error only if the filter is to be nowhere else; some devices may
    /// have it then, so it has to be [removed](Self::remove). C: `tc_setup_cb_add()`.
    pub(crate) fn add(&self, _rtnl: &Rtnl, tp: &Proto, extack: &mut ExtAck<'_>) -> Result {
        let mut command = Self::command(tp, Some(self), None, self, extack);
        let (flags, count) = self.state.as_ptrs();
        // SAFETY: All are valid during the call, RTNL is held, and the core's own locks protect
        // the numbers. What devices keep is kept until `remove`, or for ever.
        to_result(unsafe {
            bindings::tc_setup_cb_add(
                tp.block(),
                tp.as_ptr(),
                bindings::tc_setup_type_TC_SETUP_CLSBPF,
                (&raw mut command).cast(),
                self.state.skip_sw(),
                flags,
                count,
                true,
            )
        })
    }

    /// As [`Self::add`], in place of `old`, which no device has afterwards, in whichever way this
    /// ends; or so the core counts it. After an error devices may have either: it has to be
    /// replaced back. C: `tc_setup_cb_replace()`.
    pub(crate) fn replace(
        &self,
        old: &Self,
        _rtnl: &Rtnl,
        tp: &Proto,
        extack: &mut ExtAck<'_>,
    ) -> Result {
        let mut command = Self::command(tp, Some(self), Some(old), self, extack);
        let (old_flags, old_count) = old.state.as_ptrs();
        let (flags, count) = self.state.as_ptrs();
        // SAFETY: As in `add`.
        to_result(unsafe {
            bindings::tc_setup_cb_replace(
                tp.block(),
                tp.as_ptr(),
                bindings::tc_setup_type_TC_SETUP_CLSBPF,
                (&raw mut command).cast(),
                self.state.skip_sw(),
                old_flags,
                old_count,
                flags,
                count,
                true,
            )
        })
    }

    /// Takes the filter away from the devices of the block. C: `tc_setup_cb_destroy()`.
    pub(crate) fn remove(&self, _rtnl: &Rtnl, tp: &Proto, extack: &mut ExtAck<'_>) -> Result {
        let mut command = Self::command(tp, None, Some(self), self, extack);
        let (flags, count) = self.state.as_ptrs();
        // SAFETY: As in `add`.
        to_result(unsafe {
            bindings::tc_setup_cb_destroy(
                tp.block(),
                tp.as_ptr(),
                bindings::tc_setup_type_TC_SETUP_CLSBPF,
                (&raw mut command).cast(),
                false,
                flags,
                count,
                true,
            )
        })
    }

    /// Has devices add what they counted to the statistics of the actions. RTNL is taken if a
    /// device's driver needs it. C: `tc_setup_cb_call()` with `TC_CLSBPF_STATS`.
    pub(crate) fn update_stats(&self, caller: &Caller, tp: &Proto) {
        let mut command = Self::command(tp, Some(self), None, self, &mut ExtAck::ignored());
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

    /// Tells one device, which joins the block or leaves it. An error only if the filter is to be
    /// nowhere but in devices, and this one will not have it. C: `tc_setup_cb_reoffload()`.
    pub(crate) fn replay(&self, device: &Device<'_>, extack: &mut ExtAck<'_>) -> Result {
        let (new, old) = if device.joins {
            (Some(self), None)
        } else {
            (None, Some(self))
        };
        let mut command = Self::command(device.tp, new, old, self, extack);
        let (flags, count) = self.state.as_ptrs();
        // SAFETY: As in `add`. The callback is the device's, by the type invariant.
        to_result(unsafe {
            bindings::tc_setup_cb_reoffload(
                device.tp.block(),
                device.tp.as_ptr(),
                device.joins,
                device.callback,
                bindings::tc_setup_type_TC_SETUP_CLSBPF,
                (&raw mut command).cast(),
                device.private,
                flags,
                count,
            )
        })
    }
}

/// A device that joins an instance's block, or leaves it. C: the arguments of `reoffload`.
///
/// # Invariants
///
/// `callback` may be called with `private` while the value lives. RTNL is held, and the block's
/// `cb_lock` too.
pub(crate) struct Device<'a> {
    tp: &'a Proto,
    joins: bool,
    callback: bindings::flow_setup_cb_t,
    private: *mut c_void,
}

impl<'a> Device<'a> {
    /// # Safety
    ///
    /// The arguments are those of a call of `reoffload`, which lasts for `'a`.
    pub(super) unsafe fn new(
        tp: &'a Proto,
        joins: bool,
        callback: bindings::flow_setup_cb_t,
        private: *mut c_void,
    ) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            tp,
            joins,
            callback,
            private,
        }
    }
}
