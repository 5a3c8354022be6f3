// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_lwt_push_encap(BPF_LWT_ENCAP_IP)`, for kernels that were built without it.
//!
//! Implement [`PushEncap`], declare the entries with [`push_encap_entries!`], and hold a
//! [`Helper`].
//!
//! This cannot be a kfunc. The verifier invalidates the packet pointers of a program after a helper
//! that changes the packet, and after the one kfunc that it knows by name. After any other kfunc
//! the program keeps its old pointers, together with the bounds that were checked for them.
//!
//! A kernel without `CONFIG_LWTUNNEL_BPF` has the functions `bpf_lwt_in_push_encap()` and
//! `bpf_lwt_xmit_push_encap()`, but not the code that they should call: they return `EINVAL`. JITed
//! programs call them directly, so the calls must be intercepted at their entries. There ftrace can
//! call a function of this module directly, without saving registers. This costs 2 instructions
//! more than the function alone. A callback that changes the return address
//! (`FTRACE_OPS_FL_IPMODIFY`) costs 35, and 62 with all registers saved (counted on x86-64).
//!
//! The entry (`rust/stubs/push_encap_entry.S`) checks the type of encapsulation. For segment
//! routing it returns into the kernel's function. For `BPF_LWT_ENCAP_IP` it jumps to the Rust
//! function, which returns to the program.
//!
//! # Unloading
//!
//! All programs that may call the helper (`LWT_IN`, `LWT_XMIT`, and those that replace or follow
//! them) run inside an RCU read-side critical section: the network stack processes packets inside
//! one, and a test run opens one. [`DirectCall`] requires this.

use super::ProgMem;
use crate::abstractions::{
    bindings,
    net::{
        encap::{
            Direction,
            EncapSkb,
            PushEncap, //
        },
        skbuff::{
            end_pointer,
            SkBuff, //
        }, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit, //
};
use kernel::prelude::*;

#[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
use crate::abstractions::ftrace::DirectCall;

/// The types that [`push_encap_entries!`] uses.
pub(crate) mod raw {
    pub(crate) use crate::abstractions::bindings::sk_buff;
}

/// Translates calls of the helper to those of `T`.
pub(crate) struct Adapter<T>(PhantomData<T>);

impl<T: PushEncap> Adapter<T> {
    /// # Safety
    ///
    /// Called by a program, with the packet that it runs on and `len` bytes at `hdr` that are valid
    /// for reads during the call. `direction` is the direction of the program.
    #[inline(always)]
    pub(crate) unsafe fn push(
        skb: *mut bindings::sk_buff,
        hdr: *const c_void,
        len: u32,
        direction: Direction,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe {
            let (head, end) = ((*skb).head as usize, end_pointer(skb) as usize);
            if (hdr as usize).wrapping_sub(head) < end.wrapping_sub(head) {
                Self::push_from_packet(skb, hdr, len, direction)
            } else {
                Self::push_from_mem(skb, hdr, len, direction)
            }
        }
    }

    /// # Safety
    ///
    /// Those of [`Self::push`]. In addition, the bytes are not part of the packet.
    #[inline(always)]
    unsafe fn push_from_mem(
        skb: *mut bindings::sk_buff,
        hdr: *const c_void,
        len: u32,
        direction: Direction,
    ) -> c_int {
        // SAFETY: The caller of the program borrows the packet exclusively for the run, in an RCU
        // read-side critical section. After a helper that changes packets, the verifier invalidates
        // the program's pointers into the packet, slices of a dynptr included. The header is valid
        // for reads and not part of the packet, by the safety requirements of this function.
        let (skb, header) = unsafe {
            (
                EncapSkb::new(SkBuff::from_raw_mut(skb), direction),
                ProgMem::from_raw(hdr.cast(), len as usize),
            )
        };
        match T::push(skb, header) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// Pushes a header that is part of the packet. Copies it first, because the data of the packet
    /// moves. Fails with `EINVAL` if it is longer than any header.
    ///
    /// The verifier rejects packet pointers as an argument of the helper, but not a slice of a
    /// dynptr, which may point into the packet.
    ///
    /// # Safety
    ///
    /// Those of [`Self::push`].
    #[cold]
    #[inline(never)]
    unsafe fn push_from_packet(
        skb: *mut bindings::sk_buff,
        hdr: *const c_void,
        len: u32,
        direction: Direction,
    ) -> c_int {
        if len as usize > MAX_LEN {
            return EINVAL.to_errno();
        }
        let mut copy = MaybeUninit::<[u8; MAX_LEN]>::uninit();
        let copy = copy.as_mut_ptr().cast();
        // SAFETY: By the safety requirements of this function. `copy` is large enough by the check
        // above, and is not part of a packet.
        unsafe {
            bindings::memcpy(copy, hdr, len as usize);
            Self::push_from_mem(skb, copy, len, direction)
        }
    }
}

/// Maximum length of a header that a program may push.
const MAX_LEN: usize = bindings::LWT_BPF_MAX_HEADROOM as usize;

// `rust/stubs/push_encap_entry.S` compares with this number.
const _: () = assert!(bindings::bpf_lwt_encap_mode_BPF_LWT_ENCAP_IP == 2);

/// The entries that ftrace calls, see [`push_encap_entries!`].
///
/// # Safety
///
/// Both are entries of `rust/stubs/push_encap_entry.S`: `IN` the one for `bpf_lwt_in_push_encap()`,
/// `XMIT` the one for `bpf_lwt_xmit_push_encap()`. They preserve registers and stack, and continue
/// in the function of [`Adapter`] for their direction.
#[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
pub(crate) unsafe trait Entries: PushEncap {
    /// Called at the entry of `bpf_lwt_in_push_encap()`.
    const IN: unsafe extern "C" fn();

    /// Called at the entry of `bpf_lwt_xmit_push_encap()`.
    const XMIT: unsafe extern "C" fn();
}

/// Declares the entries of a [`PushEncap`], which are assembly, and defines the functions that they
/// continue in.
///
/// The verifier has checked the arguments of the helper. Arguments and result are 64-bit registers.
/// The symbols are those of the assembly file. Once in a module.
macro_rules! push_encap_entries {
    ($policy:ty) => {
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::abstractions::{
                bpf::push_encap::{
                    raw,
                    Adapter, //
                },
                net::encap::Direction, //
            };

            #[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
            extern "C" {
                fn lwtcls_push_encap_in_entry();
                fn lwtcls_push_encap_xmit_entry();
            }

            /// # Safety
            ///
            /// Called in place of `bpf_lwt_in_push_encap()`, for `BPF_LWT_ENCAP_IP`.
            #[no_mangle]
            unsafe extern "C" fn lwtcls_push_encap_in(
                skb: *mut raw::sk_buff,
                _kind: u64,
                hdr: *const ::core::ffi::c_void,
                len: u64,
            ) -> i64 {
                // SAFETY: By the safety requirements of this function.
                unsafe { Adapter::<$policy>::push(skb, hdr, len as u32, Direction::Ingress) }.into()
            }

            /// # Safety
            ///
            /// Called in place of `bpf_lwt_xmit_push_encap()`, for `BPF_LWT_ENCAP_IP`.
            #[no_mangle]
            unsafe extern "C" fn lwtcls_push_encap_xmit(
                skb: *mut raw::sk_buff,
                _kind: u64,
                hdr: *const ::core::ffi::c_void,
                len: u64,
            ) -> i64 {
                // SAFETY: By the safety requirements of this function.
                unsafe { Adapter::<$policy>::push(skb, hdr, len as u32, Direction::Egress) }.into()
            }

            #[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
            // SAFETY: `push_encap_entry.S` defines both symbols. They preserve registers and stack,
            // and each jumps to the function of its name above.
            unsafe impl $crate::abstractions::bpf::push_encap::Entries for $policy {
                const IN: unsafe extern "C" fn() = lwtcls_push_encap_in_entry;
                const XMIT: unsafe extern "C" fn() = lwtcls_push_encap_xmit_entry;
            }
        };
    };
}
pub(crate) use push_encap_entries;

/// Implements the helper for `BPF_LWT_ENCAP_IP` while the value lives.
#[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
pub(crate) struct Helper {
    _in: DirectCall,
    _xmit: DirectCall,
}

#[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
impl Helper {
    /// Attaches to the helper's functions. Process context.
    ///
    /// Fails with `EBUSY` if a live patch or a BPF program is attached to one of them, or with
    /// `EINVAL` if the kernel does not have them, or ftrace cannot attach to them.
    pub(crate) fn register<T: Entries>() -> Result<Self> {
        // SAFETY: The entries preserve registers and stack as ftrace requires, by the safety
        // requirements of the trait. Programs call the functions inside an RCU read-side critical
        // section.
        unsafe {
            Ok(Self {
                _in: DirectCall::new(c"bpf_lwt_in_push_encap", T::IN)?,
                _xmit: DirectCall::new(c"bpf_lwt_xmit_push_encap", T::XMIT)?,
            })
        }
    }
}

/// Never constructed: the kernel lacks direct calls.
#[cfg(not(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)))]
pub(crate) struct Helper(());

#[cfg(not(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)))]
impl Helper {
    /// Fails with `EOPNOTSUPP`.
    pub(crate) fn register<T: PushEncap>() -> Result<Self> {
        Err(crate::abstractions::compat::EOPNOTSUPP)
    }
}
