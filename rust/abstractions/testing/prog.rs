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
    prelude::*, //
};

/// Watches a program: holds a reference to it besides those that are tested.
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
    // SAFETY: Made just now. It comes uncounted; this is the reference of the watch.
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
    /// A program that does nothing but return `value`.
    pub(crate) fn returning(value: u32) -> Result<Self> {
        classic(&mut [insn(BPF_RET_K, value)])
    }

    /// A program that returns the first byte of the packet's data.
    pub(crate) fn first_byte() -> Result<Self> {
        classic(&mut [insn(BPF_LD_B_ABS, 0), insn(BPF_RET_A, 0)])
    }

    /// A reference to the program, as if it was one of type `T`.
    pub(crate) fn prog<T>(&self) -> Prog<T> {
        // SAFETY: The program is valid, the new reference is given away, and a program that only
        // returns runs in any place.
        unsafe {
            bindings::bpf_prog_inc(self.0.as_ptr());
            Prog::from_raw(self.0)
        }
    }

    /// As [`Self::prog`], for tc.
    pub(crate) fn tc_prog(&self) -> TcProg {
        // SAFETY: The program is valid, for the watch has a reference.
        unsafe {
            bindings::bpf_prog_inc(self.0.as_ptr());
            TcProg::from_raw(self.0)
        }
    }

    /// How many references are out.
    pub(crate) fn refs(&self) -> i64 {
        // SAFETY: The program is valid, for the watch has a reference.
        unsafe { (*(*self.0.as_ptr()).aux).refcnt.counter - 1 }
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
        // SAFETY: A classic program is destroyed, not put; the watch's reference was the last.
        unsafe { bindings::bpf_prog_destroy(self.0.as_ptr()) };
    }
}
