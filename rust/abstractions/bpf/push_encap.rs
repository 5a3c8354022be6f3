// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_lwt_push_encap(BPF_LWT_ENCAP_IP)`, for kernels that were built without it.
//!
//! [`stock_push_encap!`] names the policy and makes the functions that the kernel calls,
//! [`Helper`] puts them in their places.
//!
//! A kfunc is no way to do this. The verifier clears the packet pointers of a program after a helper
//! that changes the packet, and after the one kfunc that it knows by name. After any other it goes
//! on to take a bound that was checked for one pointer for all of them, also for those to where the
//! packet was before.
//!
//! A kernel without `CONFIG_LWTUNNEL_BPF` has the functions `bpf_lwt_in_push_encap()` and
//! `bpf_lwt_xmit_push_encap()`, but not what they should call: they answer `EINVAL`. Programs that
//! were translated to machine code call them directly, so they have to be taken where they begin.
//! There ftrace can call a function of ours directly, without saving registers or looking for
//! listeners: 2 instructions more than the function alone. A callback that changes where the
//! function is left to (`FTRACE_OPS_FL_IPMODIFY`) costs 35, and 62 with all registers (counted on
//! x86-64, by test runs in an emulator that counts instructions).
//!
//! Ours (`rust/stubs/push_encap_entry.S`) looks at the kind of encapsulation. If that is one of
//! segment routing it returns, and the kernel's function goes on. Otherwise it jumps to the policy,
//! which returns to the program.
//!
//! # A packet in flight while the module goes
//!
//! All programs that may call the helper (`LWT_IN`, `LWT_XMIT`, and those that replace or follow
//! them) run inside of an RCU read side critical section: on a route, because the network stack
//! passes packets on in one, in a test run because that opens one. Whoever is anywhere in our
//! code, from the first instruction of the entry on, is in one. So [`Helper`] first has ftrace
//! take the call out, after which nobody can come in any more, and then waits for a grace
//! period, after which nobody is in any more. Only then the module's memory may go.

use super::ProgMem;
use crate::abstractions::{
    bindings,
    compat::synchronize_rcu,
    net::{
        encap::{
            EncapSkb,
            PushEncap,
            Side, //
        },
        skbuff::{
            end_pointer,
            SkBuff, //
        }, //
    }, //
};
use core::mem::MaybeUninit;
use kernel::{
    error::to_result,
    pr_err_once,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// What the kernel calls our functions with.
pub(crate) mod raw {
    pub(crate) use crate::abstractions::bindings::sk_buff;
}

/// The kernel's calls, turned into those of `T`.
pub(crate) struct Adapter<T>(core::marker::PhantomData<T>);

impl<T: PushEncap> Adapter<T> {
    /// # Safety
    ///
    /// Called by a program: with the packet that it runs on, and `len` bytes at `hdr` that it
    /// lends. `side` is that of the program.
    #[inline(always)]
    pub(crate) unsafe fn push(
        skb: *mut bindings::sk_buff,
        hdr: *const c_void,
        len: u32,
        side: Side,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe {
            let (head, end) = ((*skb).head as usize, end_pointer(skb) as usize);
            if (hdr as usize).wrapping_sub(head) < end.wrapping_sub(head) {
                Self::push_part(skb, hdr, len, side)
            } else {
                Self::push_outside(skb, hdr, len, side)
            }
        }
    }

    /// # Safety
    ///
    /// As for [`Self::push`], and the bytes are no part of the packet.
    #[inline(always)]
    unsafe fn push_outside(
        skb: *mut bindings::sk_buff,
        hdr: *const c_void,
        len: u32,
        side: Side,
    ) -> c_int {
        // SAFETY: Whoever runs the program lends it the packet by a mutable reference that is not
        // used meanwhile, in an RCU read side. The verifier clears the program's pointers into the
        // packet, slices of a dynptr included, after a helper that changes packets. The header can
        // be read by the safety requirements of this function, and does not lie in the packet.
        let (skb, header) = unsafe {
            (
                EncapSkb::new(SkBuff::from_raw_mut(skb), side),
                ProgMem::from_raw(hdr.cast(), len as usize),
            )
        };
        match T::push(skb, header) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// A header that is a part of the packet is copied first, for the packet moves. `EINVAL` if it is
    /// longer than any header.
    ///
    /// The verifier refuses pointers into the packet as an argument of the helper, but not a slice
    /// of a dynptr, which may be one.
    ///
    /// # Safety
    ///
    /// As for [`Self::push`].
    #[cold]
    #[inline(never)]
    unsafe fn push_part(
        skb: *mut bindings::sk_buff,
        hdr: *const c_void,
        len: u32,
        side: Side,
    ) -> c_int {
        if len as usize > MAX_LEN {
            return EINVAL.to_errno();
        }
        let mut copy = MaybeUninit::<[u8; MAX_LEN]>::uninit();
        let copy = copy.as_mut_ptr().cast();
        // SAFETY: By the safety requirements of this function. `copy` has the room by the check, and
        // is no part of a packet.
        unsafe {
            bindings::memcpy(copy, hdr, len as usize);
            Self::push_outside(skb, copy, len, side)
        }
    }
}

/// The longest header that a program may push.
const MAX_LEN: usize = bindings::LWT_BPF_MAX_HEADROOM as usize;

// What `rust/stubs/push_encap_entry.S` compares with.
const _: () = assert!(bindings::bpf_lwt_encap_mode_BPF_LWT_ENCAP_IP == 2);

/// Has packets pushed by a [`PushEncap`]. Once in a module.
macro_rules! stock_push_encap {
    ($policy:ty) => {
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::abstractions::{
                bpf::push_encap::{
                    self,
                    raw, //
                },
                net::encap::Side, //
            };
            type Adapter = push_encap::Adapter<$policy>;

            // What the arguments of a helper are, the verifier has seen to; they come in whole
            // registers, and the result goes back in one.
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
                unsafe { Adapter::push(skb, hdr, len as u32, Side::Ingress) }.into()
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
                unsafe { Adapter::push(skb, hdr, len as u32, Side::Egress) }.into()
            }
        };
    };
}
pub(crate) use stock_push_encap;

#[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
mod helper {
    use super::*;

    extern "C" {
        fn lwtcls_push_encap_in_entry();
        fn lwtcls_push_encap_xmit_entry();
    }

    /// One function of the kernel, and what is called where it begins.
    ///
    /// # Invariants
    ///
    /// The entry is registered while the value lives.
    struct Entry {
        ops: KBox<Opaque<bindings::ftrace_ops>>,
        entry: c_ulong,
    }

    // SAFETY: The table is ftrace's, which has locks of its own for it.
    unsafe impl Send for Entry {}

    // SAFETY: `unregister`, the one method that takes a shared reference, only reads the value;
    // ftrace has locks of its own for the table.
    unsafe impl Sync for Entry {}

    impl Entry {
        fn new(name: &CStr, entry: unsafe extern "C" fn()) -> Result<Self> {
            // SAFETY: All zeroes are a table that was not used yet.
            let mut ops: bindings::ftrace_ops = unsafe { core::mem::zeroed() };
            // Where tracing can be turned off, that is for tracers.
            ops.flags = bindings::FTRACE_OPS_FL_PERMANENT as c_ulong;
            let ops = KBox::new(Opaque::new(ops), GFP_KERNEL)?;
            let entry = entry as usize as c_ulong;
            // SAFETY: The table stays where it is, on the heap, until it was given back. The name
            // is only read. The entry can be called in place of any function.
            let result = unsafe {
                to_result(bindings::ftrace_set_filter(
                    ops.get(),
                    name.as_char_ptr().cast_mut().cast(),
                    name.to_bytes().len() as c_int,
                    1,
                ))
                .and_then(|()| to_result(bindings::register_ftrace_direct(ops.get(), entry)))
            };
            if let Err(error) = result {
                // SAFETY: The table is not registered.
                unsafe { bindings::ftrace_free_filter(ops.get()) };
                return Err(error);
            }
            // INVARIANT: Registered above.
            Ok(Self { ops, entry })
        }
    }

    impl Entry {
        /// The errno is that of ftrace; the function still calls the entry then.
        fn unregister(&self) -> Result {
            // SAFETY: Registered, by the type invariant. The filter stays, for another try.
            to_result(unsafe {
                bindings::unregister_ftrace_direct(self.ops.get(), self.entry, false)
            })
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            // A kernel whose ftrace has failed leaves functions as they are. The entry is our text,
            // so the module must not go before the last call of it.
            while let Err(error) = self.unregister() {
                pr_err_once!(
                    "ftrace does not detach from bpf_lwt_push_encap() (error {}): the module stays \
                     until it does\n",
                    error.to_errno()
                );
                fsleep(Delta::from_secs(1));
            }
            // Calls from before are in a read side, see the head of the file.
            synchronize_rcu();
            // SAFETY: Not registered any more, by the loop above.
            unsafe { bindings::ftrace_free_filter(self.ops.get()) };
        }
    }

    /// Answers the helper for `BPF_LWT_ENCAP_IP` while the value lives.
    pub(crate) struct Helper {
        _in: Entry,
        _xmit: Entry,
    }

    impl Helper {
        /// `EBUSY` if a live patch or a BPF program has one of the functions; `EINVAL` if the kernel
        /// has none that ftrace can call from. Process context.
        pub(crate) fn register() -> Result<Self> {
            Ok(Self {
                _in: Entry::new(c"bpf_lwt_in_push_encap", lwtcls_push_encap_in_entry)?,
                _xmit: Entry::new(c"bpf_lwt_xmit_push_encap", lwtcls_push_encap_xmit_entry)?,
            })
        }
    }
}

#[cfg(not(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)))]
mod helper {
    use super::*;
    use crate::abstractions::compat::EOPNOTSUPP;

    /// Never: the kernel has no way for it.
    pub(crate) struct Helper(());

    impl Helper {
        /// `EOPNOTSUPP`.
        pub(crate) fn register() -> Result<Self> {
            Err(EOPNOTSUPP)
        }
    }
}

pub(crate) use helper::Helper;
