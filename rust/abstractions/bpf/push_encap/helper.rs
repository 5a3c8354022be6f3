// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_lwt_push_encap(BPF_LWT_ENCAP_IP)`, for kernels that were built without it.
//!
//! Declare the entries with [`push_encap_entries!`], and hold a [`Helper`].
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
//! The entry (`push_encap_entry.S` of the architecture, in `rust/stubs/`) checks the type of
//! encapsulation. For segment routing it returns into the kernel's function. For
//! `BPF_LWT_ENCAP_IP` it jumps to the Rust function, which returns to the program.
//!
//! # Unloading
//!
//! All programs that may call the helper (`LWT_IN`, `LWT_XMIT`, and those that replace or follow
//! them) run inside an RCU read-side critical section: the network stack processes packets inside
//! one, and a test run opens one. [`DirectCall`] requires this.

use crate::abstractions::{
    bindings,
    net::encap::PushEncap, //
};
use kernel::prelude::*;

#[cfg(lwtcls_direct_calls)]
use crate::abstractions::ftrace::DirectCall;

/// The types that [`push_encap_entries!`] uses.
pub(crate) mod raw {
    pub(crate) use crate::abstractions::bindings::sk_buff;
}

// `push_encap_entry.S` compares with this number.
const _: () = assert!(bindings::bpf_lwt_encap_mode_BPF_LWT_ENCAP_IP == 2);

/// The entries that ftrace calls, see [`push_encap_entries!`].
///
/// # Safety
///
/// Both are entries of `push_encap_entry.S`: `IN` the one for `bpf_lwt_in_push_encap()`,
/// `XMIT` the one for `bpf_lwt_xmit_push_encap()`. They preserve registers and stack, and continue
/// in the function of [`Adapter`](super::Adapter) for their direction.
#[cfg(lwtcls_direct_calls)]
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

            #[cfg(lwtcls_direct_calls)]
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

            #[cfg(lwtcls_direct_calls)]
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
#[cfg(lwtcls_direct_calls)]
pub(crate) struct Helper {
    _in: DirectCall,
    _xmit: DirectCall,
}

#[cfg(lwtcls_direct_calls)]
impl Helper {
    /// Attaches to the helper's functions. Process context.
    ///
    /// Fails with `EBUSY` if a live patch or a BPF program is attached to one of them, or with
    /// `EINVAL` if the kernel does not have them, or ftrace cannot attach to them.
    pub(crate) fn register<T: Entries>() -> Result<Self> {
        Ok(Self {
            // SAFETY: The entry preserves registers and stack as ftrace requires, by the safety
            // requirements of the trait. Programs call the function inside an RCU read-side
            // critical section.
            _in: unsafe { DirectCall::new(c"bpf_lwt_in_push_encap", T::IN) }?,
            // SAFETY: The entry preserves registers and stack as ftrace requires, by the safety
            // requirements of the trait. Programs call the function inside an RCU read-side
            // critical section.
            _xmit: unsafe { DirectCall::new(c"bpf_lwt_xmit_push_encap", T::XMIT) }?,
        })
    }
}

/// Never constructed: the kernel lacks direct calls, or the architecture has no entry.
#[cfg(not(lwtcls_direct_calls))]
pub(crate) struct Helper(());

#[cfg(not(lwtcls_direct_calls))]
impl Helper {
    /// Fails with `EOPNOTSUPP`.
    pub(crate) fn register<T: PushEncap>() -> Result<Self> {
        Err(crate::abstractions::compat::EOPNOTSUPP)
    }
}
