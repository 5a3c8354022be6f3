// SPDX-License-Identifier: GPL-2.0-only

//! BPF programs.

use super::classifier::flush_deferred;
use crate::abstractions::{
    bindings,
    bpf::{
        Prog,
        TcProg, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::aref::ARef, //
};

/// An extra reference to a program, with which a test checks that the code under test released its
/// own. [`Self::refs`] does not count it.
pub(crate) struct ProgWatch(NonNull<bindings::bpf_prog>);

const BPF_LD_B_ABS: u16 = 0x30;
const BPF_RET_K: u16 = 0x06;
const BPF_RET_A: u16 = 0x16;

fn classic(code: &mut [bindings::sock_filter]) -> Result<ProgWatch> {
    let mut prog = core::ptr::null_mut();
    let mut fprog = bindings::sock_fprog_kern {
        len: code.len() as u16,
        filter: code.as_mut_ptr(),
    };
    // SAFETY: `fprog` describes valid instructions, which the callee copies.
    to_result(unsafe { bindings::bpf_prog_create(&mut prog, &mut fprog) })?;
    let prog = NonNull::new(from_err_ptr(prog)?).ok_or(ENOMEM)?;
    // SAFETY: The program was created above. It is created without a reference, so this is the one
    // of the watch.
    unsafe { bindings::bpf_prog_inc(prog.as_ptr()) };
    Ok(ProgWatch(prog))
}

const fn insn(code: u16, k: u32) -> bindings::sock_filter {
    bindings::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

impl ProgWatch {
    /// Creates a program that only returns `value`.
    pub(crate) fn returning(value: u32) -> Result<Self> {
        classic(&mut [insn(BPF_RET_K, value)])
    }

    /// Creates a program that returns the first byte of the packet's data.
    pub(crate) fn first_byte() -> Result<Self> {
        classic(&mut [insn(BPF_LD_B_ABS, 0), insn(BPF_RET_A, 0)])
    }

    /// Returns a reference to the program, as if it were of type `T`.
    pub(crate) fn prog<T>(&self) -> ARef<Prog<T>> {
        self.inc_ref();
        // SAFETY: The program is valid, and the new reference is passed on. A classic program of a
        // socket filter can be run as any type that takes an `sk_buff`.
        unsafe { Prog::from_raw(self.0) }
    }

    /// Returns a reference to the program, like [`Self::prog`], for tc.
    pub(crate) fn tc_prog(&self) -> TcProg {
        self.inc_ref();
        // SAFETY: The program is valid, takes an `sk_buff`, and the new reference is passed on. The
        // drop of this value checks that no other reference is left, and drops the last one.
        unsafe { TcProg::from_raw(self.0) }
    }

    fn inc_ref(&self) {
        // SAFETY: The program is valid, because the watch holds a reference.
        unsafe { bindings::bpf_prog_inc(self.0.as_ptr()) };
    }

    /// Returns the number of references other than that of the watch.
    pub(crate) fn refs(&self) -> i64 {
        // SAFETY: The program is valid, because the watch holds a reference.
        let aux = unsafe { (*self.0.as_ptr()).aux };
        // SAFETY: The `aux` of a program lives as long as the program.
        let refs = unsafe { (*aux).refcnt.counter };
        refs - 1
    }
}

impl Drop for ProgWatch {
    fn drop(&mut self) {
        if self.refs() != 0 {
            flush_deferred();
        }
        if kernel::warn_on!(self.refs() != 0) {
            return;
        }
        // SAFETY: The reference of the watch is the last one. A classic program is destroyed, not
        // released.
        unsafe { bindings::bpf_prog_destroy(self.0.as_ptr()) };
    }
}
