// SPDX-License-Identifier: GPL-2.0-only

//! A device that filters are offered to.

use super::classifier::{
    entry,
    ProtoBuf, //
};
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

/// A device that takes one program, and does as it is told or not.
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
    /// One that does all that it is told, as a new member of the instance's block. It must go
    /// after the instance.
    pub(crate) fn plug<T: Classifier>(proto: &mut ProtoBuf<T>) -> Result<Self> {
        let state = KBox::new(
            FakeState {
                takes: Atomic::new(1),
                gives: Atomic::new(1),
                prog: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: All zeroes are an empty entry.
        let mut entry = KBox::<bindings::flow_block_cb>::new(unsafe { zeroed() }, GFP_KERNEL)?;
        entry.cb = Some(Self::callback);
        entry.cb_priv = (&raw const *state).cast_mut().cast();
        // SAFETY: Both stay where they are, on the heap.
        unsafe { bindings::list_add(&mut entry.list, &mut proto._block.flow_block.cb_list) };
        Ok(Self { entry, state })
    }

    /// Whether it takes programs, and whether it gives them up, from now on.
    pub(crate) fn set(&self, takes: bool, gives: bool) {
        self.state.takes.store(takes.into(), Relaxed);
        self.state.gives.store(gives.into(), Relaxed);
    }

    /// Whether it has that program.
    pub(crate) fn has(&self, prog: &TcProg) -> bool {
        self.state.prog.load(Relaxed) == prog.as_ptr() as usize
    }

    /// Whether it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.prog.load(Relaxed) == 0
    }

    /// # Safety
    ///
    /// `data` is a command for classifiers of the kind `bpf`, and `private` that of a device.
    unsafe extern "C" fn callback(
        _kind: bindings::tc_setup_type,
        data: *mut c_void,
        private: *mut c_void,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (command, state) = unsafe {
            (
                &*data.cast::<bindings::tc_cls_bpf_offload>(),
                &*private.cast::<FakeState>(),
            )
        };
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
        // The instance has gone, and its block with it: nothing is left to be taken out of.
        self.entry.cb = None;
    }
}
