// SPDX-License-Identifier: GPL-2.0-only

//! A device for offload.

use super::classifier::ProtoBuf;
use crate::abstractions::{
    bindings,
    bpf::TcProg,
    net::pkt_cls::Classifier, //
};
use core::mem::zeroed;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// A device that can hold one program, and accepts or refuses commands.
pub(crate) struct FakeDevice {
    entry: KBox<bindings::flow_block_cb>,
    state: KBox<FakeState>,
}

struct FakeState {
    takes: Atomic<i32>,
    gives: Atomic<i32>,
    prog: Atomic<usize>,
}

impl FakeDevice {
    /// Adds a device to the block of `proto`. At first it accepts all commands.
    ///
    /// The device must be dropped after `proto`.
    pub(crate) fn plug<T: Classifier>(proto: &mut ProtoBuf<T>) -> Result<Self> {
        let state = KBox::new(
            FakeState {
                takes: Atomic::new(1),
                gives: Atomic::new(1),
                prog: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: All zeroes are a valid empty entry.
        let mut entry = KBox::<bindings::flow_block_cb>::new(unsafe { zeroed() }, GFP_KERNEL)?;
        entry.cb = Some(Self::callback);
        entry.cb_priv = (&raw const *state).cast_mut().cast();
        // SAFETY: The entry and the block are on the heap, and are not moved.
        unsafe { bindings::list_add(&mut entry.list, &mut proto._block.flow_block.cb_list) };
        Ok(Self { entry, state })
    }

    /// Sets whether the device accepts programs, and whether it gives them up.
    pub(crate) fn set(&self, takes: bool, gives: bool) {
        self.state.takes.store(takes.into(), Relaxed);
        self.state.gives.store(gives.into(), Relaxed);
    }

    /// Returns whether the device has that program.
    pub(crate) fn has(&self, prog: &TcProg) -> bool {
        self.state.prog.load(Relaxed) == prog.as_ptr() as usize
    }

    /// Returns whether the device has no program.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.prog.load(Relaxed) == 0
    }

    /// # Safety
    ///
    /// `data` is a command for a classifier of kind `bpf`, and `private` the state of a device.
    unsafe extern "C" fn callback(
        _kind: bindings::tc_setup_type,
        data: *mut c_void,
        private: *mut c_void,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let command = unsafe { &*data.cast::<bindings::tc_cls_bpf_offload>() };
        // SAFETY: By the safety requirements of this function.
        let state = unsafe { &*private.cast::<FakeState>() };
        let may = if command.prog.is_null() {
            &state.gives
        } else {
            &state.takes
        };
        if may.load(Relaxed) == 0 || command.oldprog as usize != state.prog.load(Relaxed) {
            return EBUSY.to_errno();
        }
        state.prog.store(command.prog as usize, Relaxed);
        0
    }
}

impl Drop for FakeDevice {
    fn drop(&mut self) {
        // `proto` and its block are gone, so there is no list to remove the entry from.
        self.entry.cb = None;
    }
}
