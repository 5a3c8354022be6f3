// SPDX-License-Identifier: GPL-2.0-only

//! Programs that classify packets for tc, including classic ones.
//!
//! C header: [`include/linux/filter.h`](srctree/include/linux/filter.h)

use super::run::run;
use crate::abstractions::{
    bindings,
    net::{
        netdevice::NetDevice,
        skbuff::SkBuff, //
    },
    sync::bottom_half::BhDisabled, //
};
use core::{
    mem::{
        offset_of,
        ManuallyDrop, //
    },
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    ptr::project,
    transmute::AsBytes, //
};

/// A program that classifies packets for tc: a loaded one (`BPF_PROG_TYPE_SCHED_CLS`), or classic
/// bytecode.
///
/// # Invariants
///
/// The pointer is to a valid `bpf_prog` that takes an `sk_buff`. Without `bytecode` the value owns
/// one reference to it, and its type is `BPF_PROG_TYPE_SCHED_CLS`, except in KUnit suites. With
/// `bytecode` it was translated from that, and the value owns it.
pub(crate) struct TcProg {
    prog: NonNull<bindings::bpf_prog>,
    bytecode: Option<KVec<bindings::sock_filter>>,
}

/// The origin of a [`TcProg`].
pub(crate) enum ProgOrigin<'a> {
    /// Loaded by `bpf(2)`.
    Loaded {
        /// The id of the program, as in `bpftool prog show id`.
        id: u32,
        /// The tag of the program, a truncated SHA hash of its instructions.
        tag: &'a [u8; 8],
    },
    /// Classic bytecode: the number of instructions, and the instructions as userspace sent them.
    Classic(u16, &'a [u8]),
}

// SAFETY: A program is immutable once loaded or translated, its refcount is atomic, and it may be
// released or destroyed in any process context.
unsafe impl Send for TcProg {}

// SAFETY: All methods take a shared reference, and only read fields that do not change after load.
unsafe impl Sync for TcProg {}

// SAFETY: The fields are plain numbers, and there is no padding between them.
unsafe impl AsBytes for bindings::sock_filter {}

impl TcProg {
    /// Size of a classic instruction (`struct sock_filter`).
    pub(crate) const INSN_SIZE: usize = size_of::<bindings::sock_filter>();

    /// Maximum number of instructions of a classic program (`BPF_MAXINSNS`).
    pub(crate) const MAX_INSNS: usize = bindings::BPF_MAXINSNS as usize;

    /// Takes a reference to the program of a file descriptor of the calling process. Process
    /// context. C: `bpf_prog_get_type_dev()`.
    ///
    /// Fails with
    /// - `EBADF` if the file descriptor is not open,
    /// - `EINVAL` if it is no program, a program of another type, or, unless `for_device`, one that
    ///   only a device can run.
    pub(crate) fn from_fd(fd: u32, for_device: bool) -> Result<Self> {
        // SAFETY: An FFI call with no requirements but process context.
        let prog = from_err_ptr(unsafe {
            bindings::bpf_prog_get_type_dev(
                fd,
                bindings::bpf_prog_type_BPF_PROG_TYPE_SCHED_CLS,
                for_device,
            )
        })?;
        // INVARIANT: The call checked the type, and took a reference.
        Ok(Self {
            prog: NonNull::new(prog).ok_or(EINVAL)?,
            bytecode: None,
        })
    }

    /// Checks and translates classic instructions (`struct sock_filter`, in host byte order).
    /// Process context. C: `bpf_prog_create()`.
    ///
    /// Fails with `EINVAL` if there are no instructions, too many, or an incomplete one, or if the
    /// kernel rejects them. Fails with `ENOMEM` if an allocation fails.
    pub(crate) fn from_bytecode(insns: &[u8]) -> Result<Self> {
        let count = insns.len() / Self::INSN_SIZE;
        if insns.len() % Self::INSN_SIZE != 0 || count == 0 || count > Self::MAX_INSNS {
            return Err(EINVAL);
        }
        let mut bytecode = KVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        for insn in insns.chunks_exact(Self::INSN_SIZE) {
            if let [code0, code1, jt, jf, k0, k1, k2, k3] = *insn {
                let insn = bindings::sock_filter {
                    code: u16::from_ne_bytes([code0, code1]),
                    jt,
                    jf,
                    k: u32::from_ne_bytes([k0, k1, k2, k3]),
                };
                bytecode.push(insn, GFP_KERNEL_ACCOUNT)?;
            }
        }
        let mut prog = core::ptr::null_mut();
        let mut fprog = bindings::sock_fprog_kern {
            // At most `MAX_INSNS`.
            len: count as u16,
            filter: bytecode.as_mut_ptr(),
        };
        // SAFETY: `fprog` describes valid instructions, which the callee copies.
        to_result(unsafe { bindings::bpf_prog_create(&mut prog, &mut fprog) })?;
        // INVARIANT: The program was translated from `bytecode`, and there is no other pointer to
        // it.
        Ok(Self {
            prog: NonNull::new(prog).ok_or(EINVAL)?,
            bytecode: Some(bytecode),
        })
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `prog` is valid and takes an `sk_buff`, and the caller passes on one reference to it. If its
    /// type is not `BPF_PROG_TYPE_SCHED_CLS`, that reference is not the last one to be dropped.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) unsafe fn from_raw(prog: NonNull<bindings::bpf_prog>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            prog,
            bytecode: None,
        }
    }

    /// Returns the raw pointer.
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::bpf_prog {
        self.prog.as_ptr()
    }

    /// Returns the part of the program that the packet path does not use.
    fn aux(&self) -> *mut bindings::bpf_prog_aux {
        // SAFETY: The program is valid by the type invariant.
        unsafe { (*self.as_ptr()).aux }
    }

    /// Keeps the program forever, because a device that has it does not give it up.
    pub(in crate::abstractions) fn leak(self) {
        let mut this = ManuallyDrop::new(self);
        this.bytecode = None;
        // SAFETY: The program is valid, and never freed.
        unsafe { bindings::kmemleak_not_leak(this.as_ptr().cast()) };
    }

    /// Returns the origin of the program.
    #[inline]
    pub(crate) fn origin(&self) -> ProgOrigin<'_> {
        match &self.bytecode {
            Some(insns) => ProgOrigin::Classic(insns.len() as u16, insns.as_bytes()),
            None => {
                let tag = project!(self.as_ptr(), .__bindgen_anon_1.tag);
                ProgOrigin::Loaded {
                    // SAFETY: The `aux` of a program lives as long as the program.
                    id: unsafe { (*self.aux()).id },
                    // SAFETY: The program is valid by the type invariant. Its tag does not change
                    // after load.
                    tag: unsafe { &*tag },
                }
            }
        }
    }

    /// Returns whether the program reads the packet's dst, which devices otherwise drop early.
    pub(crate) fn dst_needed(&self) -> bool {
        // SAFETY: The program is valid by the type invariant.
        unsafe { (*self.as_ptr()).dst_needed() != 0 }
    }

    /// Returns whether the program may set `tc_classid`, the class of a packet.
    ///
    /// A program cannot if no instruction stores to it, and there is no tail call.
    pub(crate) fn may_set_tc_classid(&self) -> bool {
        const HALF: u32 = bindings::BPF_MEM | bindings::BPF_H;
        const STORE_IMM: u8 = (bindings::BPF_ST | HALF) as u8;
        const STORE: u8 = (bindings::BPF_STX | HALF) as u8;
        const TAIL_CALL: u8 = (bindings::BPF_JMP | bindings::BPF_TAIL_CALL) as u8;
        // The verifier rewrites accesses to `tc_classid` to this offset.
        const PLACE: i16 = (offset_of!(bindings::sk_buff, cb)
            + offset_of!(bindings::qdisc_skb_cb, tc_classid)) as i16;

        let insns = project!(self.as_ptr(), .__bindgen_anon_2).cast::<bindings::bpf_insn>();
        // SAFETY: The program is valid by the type invariant.
        let len = unsafe { (*self.as_ptr()).len } as usize;
        // SAFETY: The program ends with `len` instructions, including those of its subprograms,
        // which do not change after load.
        let insns = unsafe { core::slice::from_raw_parts(insns, len) };
        insns.iter().any(|insn| match insn.code {
            STORE_IMM | STORE => insn.off == PLACE,
            code => code == TAIL_CALL,
        })
    }

    /// Returns whether the program was loaded for a device. C: `bpf_prog_is_dev_bound()`.
    pub(crate) fn is_dev_bound(&self) -> bool {
        // SAFETY: The `aux` of a program lives as long as the program.
        unsafe { bindings::bpf_prog_is_dev_bound(self.aux()) }
    }

    /// Returns whether the program was loaded for that device, or for one that shares its hardware.
    /// May sleep. C: `bpf_offload_dev_match()`.
    pub(crate) fn is_bound_to(&self, dev: &NetDevice) -> bool {
        // SAFETY: Program and device are valid by the references.
        unsafe { bindings::bpf_offload_dev_match(self.as_ptr(), dev.as_ptr()) }
    }

    /// Runs the program on a packet. Returns its return value. C: `bpf_prog_run()`.
    ///
    /// The caller has set the data pointers in the control block. The helpers of a program that
    /// redirects check for a BPF network context themselves.
    #[inline(always)]
    pub(in crate::abstractions) fn run(&self, _bh: &BhDisabled<'_>, skb: &mut SkBuff) -> i32 {
        // SAFETY: The packet is valid and exclusively borrowed. Its control block has the layout of
        // tc, like that of each packet that reaches a classifier. The program is valid and takes an
        // `sk_buff` by the type invariant. `_bh` is a token of disabled bottom halves.
        unsafe { run(self.prog, skb) as i32 }
    }
}

impl Drop for TcProg {
    fn drop(&mut self) {
        match &self.bytecode {
            // SAFETY: By the type invariant the value owns one reference, and does not use it after
            // this. The program is freed after a grace period.
            None => unsafe { bindings::bpf_prog_put(self.as_ptr()) },
            // SAFETY: By the type invariant the value owns the program, and does not use it after
            // this. The caller waited for a grace period before it dropped a classic program.
            Some(_) => unsafe { bindings::bpf_prog_destroy(self.as_ptr()) },
        }
    }
}
