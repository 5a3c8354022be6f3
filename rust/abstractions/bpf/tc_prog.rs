// SPDX-License-Identifier: GPL-2.0-only

//! Programs that classify packets for tc, classic ones too.
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
    prelude::*, //
};

/// A program that classifies packets for tc: one that was loaded as such
/// (`BPF_PROG_TYPE_SCHED_CLS`), or classic bytecode.
///
/// # Invariants
///
/// The pointer is to a valid `bpf_prog` that takes an `sk_buff`. Without `bytecode` it is of type
/// `BPF_PROG_TYPE_SCHED_CLS`, and one of its references is ours. With `bytecode` it was translated
/// from that, and is ours alone.
pub(crate) struct TcProg {
    prog: NonNull<bindings::bpf_prog>,
    bytecode: Option<KVec<bindings::sock_filter>>,
}

/// What there is to tell about a [`TcProg`].
pub(crate) enum Origin<'a> {
    /// Loaded by `bpf(2)`.
    Loaded {
        /// The number by which `bpftool prog show id` finds the program.
        id: u32,
        /// The SHA-derived tag of the program's instructions.
        tag: &'a [u8; 8],
    },
    /// Classic: the number of its instructions, and these as the user gave them.
    Classic(u16, &'a [u8]),
}

// SAFETY: A program is immutable once loaded or translated, its reference count is atomic, and it
// may be put or destroyed in any process context.
unsafe impl Send for TcProg {}

// SAFETY: All methods take a shared reference and only read what does not change after load.
unsafe impl Sync for TcProg {}

impl TcProg {
    /// Bytes of a classic instruction (`struct sock_filter`).
    pub(crate) const INSN_SIZE: usize = size_of::<bindings::sock_filter>();

    /// The most instructions that a classic program may have (`BPF_MAXINSNS`).
    pub(crate) const MAX_INSNS: usize = bindings::BPF_MAXINSNS as usize;

    /// Takes a reference to the program behind a file descriptor of the calling process.
    ///
    /// `EBADF` if nothing is open there, `EINVAL` if it is no program, or one of another type. A
    /// program that only a device can run is `EINVAL` too, unless `for_device`. Process context.
    /// C: `bpf_prog_get_type_dev()`.
    pub(crate) fn from_fd(fd: u32, for_device: bool) -> Result<Self> {
        // SAFETY: An FFI call with no requirements but process context.
        let prog = from_err_ptr(unsafe {
            bindings::bpf_prog_get_type_dev(
                fd,
                bindings::bpf_prog_type_BPF_PROG_TYPE_SCHED_CLS,
                for_device,
            )
        })?;
        // INVARIANT: The call checked the type, and gave us a reference.
        Ok(Self {
            prog: NonNull::new(prog).ok_or(EINVAL)?,
            bytecode: None,
        })
    }

    /// Checks and translates classic instructions, as in `struct sock_filter`, host byte order.
    ///
    /// `EINVAL` if there are none, too many, or a part of one, and if the kernel's checker refuses
    /// them; `ENOMEM`. Process context. C: `bpf_prog_create()`.
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
            // At most MAX_INSNS.
            len: count as u16,
            filter: bytecode.as_mut_ptr(),
        };
        // SAFETY: `fprog` describes valid instructions, which the callee copies.
        to_result(unsafe { bindings::bpf_prog_create(&mut prog, &mut fprog) })?;
        // INVARIANT: Made just now, out of that bytecode; nobody else knows it.
        Ok(Self {
            prog: NonNull::new(prog).ok_or(EINVAL)?,
            bytecode: Some(bytecode),
        })
    }

    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `prog` is valid, the caller gives away one of its references, and the program takes an
    /// `sk_buff`.
    #[cfg(lwtcls_kunit)]
    pub(in crate::abstractions) unsafe fn from_raw(prog: NonNull<bindings::bpf_prog>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            prog,
            bytecode: None,
        }
    }

    /// The C view of the program.
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::bpf_prog {
        self.prog.as_ptr()
    }

    /// Leaves the program to a device that does not give it up, for ever.
    pub(in crate::abstractions) fn leak(self) {
        let mut this = ManuallyDrop::new(self);
        this.bytecode = None;
        // SAFETY: The program is valid, and stays.
        unsafe { bindings::kmemleak_not_leak(this.as_ptr().cast()) };
    }

    /// Where the program comes from.
    pub(crate) fn origin(&self) -> Origin<'_> {
        match &self.bytecode {
            // SAFETY: The instructions are plain numbers without padding.
            Some(insns) => Origin::Classic(insns.len() as u16, unsafe {
                core::slice::from_raw_parts(insns.as_ptr().cast(), insns.len() * Self::INSN_SIZE)
            }),
            // SAFETY: The program is valid by the type invariant, and its `aux` lives as long. The
            // tag does not change after load.
            None => unsafe {
                let prog = self.as_ptr();
                Origin::Loaded {
                    id: (*(*prog).aux).id,
                    tag: &(*prog).__bindgen_anon_1.tag,
                }
            },
        }
    }

    /// Whether the program reads the packet's dst, which devices drop early if nobody asks.
    pub(crate) fn dst_needed(&self) -> bool {
        // SAFETY: The program is valid by the type invariant.
        unsafe { (*self.as_ptr()).dst_needed() != 0 }
    }

    /// Whether the program may set the class of a packet (`tc_classid`). It may not if it has no
    /// instruction that could write there, and calls no other program.
    pub(crate) fn may_set_tc_classid(&self) -> bool {
        const HALF: u32 = bindings::BPF_MEM | bindings::BPF_H;
        const STORE_IMM: u8 = (bindings::BPF_ST | HALF) as u8;
        const STORE: u8 = (bindings::BPF_STX | HALF) as u8;
        const TAIL_CALL: u8 = (bindings::BPF_JMP | bindings::BPF_TAIL_CALL) as u8;
        // The verifier makes this of `tc_classid`.
        const PLACE: i16 = (offset_of!(bindings::sk_buff, cb)
            + offset_of!(bindings::qdisc_skb_cb, tc_classid)) as i16;

        // SAFETY: The program is valid by the type invariant. So many instructions, those of its
        // subprograms included, are at its end, and do not change after load.
        let insns = unsafe {
            let prog = self.as_ptr();
            core::slice::from_raw_parts(
                (&raw const (*prog).__bindgen_anon_2).cast::<bindings::bpf_insn>(),
                (*prog).len as usize,
            )
        };
        insns.iter().any(|insn| match insn.code {
            STORE_IMM | STORE => insn.off == PLACE,
            code => code == TAIL_CALL,
        })
    }

    /// Whether the program was loaded for a device. C: `bpf_prog_is_dev_bound()`.
    pub(crate) fn is_dev_bound(&self) -> bool {
        // SAFETY: The program is valid by the type invariant, and its `aux` lives as long.
        unsafe { bindings::bpf_prog_is_dev_bound((*self.as_ptr()).aux) }
    }

    /// Whether the program was loaded for that device, or one that shares its hardware. May sleep.
    /// C: `bpf_offload_dev_match()`.
    pub(crate) fn is_bound_to(&self, dev: &NetDevice) -> bool {
        // SAFETY: Both are valid by the references.
        unsafe { bindings::bpf_offload_dev_match(self.as_ptr(), dev.as_ptr()) }
    }

    /// Runs the program on a packet, and returns what the program returned. The caller has noted
    /// the ends of the packet's data. C: `bpf_prog_run()`.
    ///
    /// A program that redirects looks for a BPF network context itself.
    #[inline(always)]
    pub(in crate::abstractions) fn run(&self, _bh: &BhDisabled<'_>, skb: &mut SkBuff) -> i32 {
        // SAFETY: The packet is valid and ours alone by the reference, its control block is laid
        // out for tc, as is every packet that reaches a classifier. The program is valid and takes
        // an `sk_buff` by the type invariant; bottom halves are disabled, of which `_bh` is a token.
        unsafe { run(self.prog, skb) as i32 }
    }
}

impl Drop for TcProg {
    fn drop(&mut self) {
        // SAFETY: By the type invariant a loaded program has one reference of ours, and a
        // translated one is ours alone. This is the end of either. A loaded program goes after a
        // grace period; of the other its owner has waited for one.
        unsafe {
            match &self.bytecode {
                None => bindings::bpf_prog_put(self.as_ptr()),
                Some(_) => bindings::bpf_prog_destroy(self.as_ptr()),
            }
        }
    }
}
