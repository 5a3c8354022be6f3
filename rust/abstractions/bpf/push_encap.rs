// SPDX-License-Identifier: GPL-2.0-only

//! `bpf_lwt_push_encap(BPF_LWT_ENCAP_IP)`, for kernels that were built without it, and a kfunc.
//!
//! [`stock_push_encap!`] names the policy and makes the functions that the kernel calls,
//! [`Helper`] and [`Kfunc`] put them in their places.
//!
//! # The helper
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
//!
//! The kfunc needs nothing of the kind: a program that calls it holds the module from its load on
//! until it is freed.

use super::{
    LwtIn,
    LwtXmit,
    ProgMem,
    ProgType, //
};
use crate::abstractions::{
    bindings,
    net::{
        encap::{
            EncapSkb,
            PushEncap,
            Side, //
        },
        skbuff::SkBuff, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::rcu,
    types::Opaque, //
};

/// What the kernel calls our functions with.
pub(crate) mod raw {
    pub(crate) use crate::abstractions::bindings::{
        bpf_prog,
        sk_buff, //
    };
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
        // SAFETY: The packet is the program's, which has it from whoever runs the program by a
        // mutable reference that is not used meanwhile. Programs run inside of an RCU read side.
        // The verifier has the program forget its pointers into the packet after a helper that
        // changes it, and does not let it keep any beyond its end.
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
}

/// Which programs may call the kfunc: of those that the kernel takes together as its kind, the
/// ones whose packets can get a new route.
///
/// # Safety
///
/// Called by the verifier, with a valid program.
pub(crate) unsafe fn may_call(prog: *const bindings::bpf_prog) -> c_int {
    // SAFETY: By the safety requirements of this function.
    let kind = unsafe { (*prog).type_ };
    if kind == LwtIn::TYPE || kind == LwtXmit::TYPE {
        0
    } else {
        EACCES.to_errno()
    }
}

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

            /// # Safety
            ///
            /// Called by programs, as `bpf_lwtcls_push_ip_encap()`.
            #[no_mangle]
            unsafe extern "C" fn lwtcls_push_encap_kfunc(
                skb: *mut raw::sk_buff,
                hdr: *const ::core::ffi::c_void,
                len: u32,
            ) -> ::core::ffi::c_int {
                // SAFETY: By the safety requirements of this function.
                unsafe { Adapter::push(skb, hdr, len, Side::Kfunc) }
            }

            /// # Safety
            ///
            /// Called by the verifier.
            #[no_mangle]
            unsafe extern "C" fn lwtcls_kfunc_filter(
                prog: *const raw::bpf_prog,
                _kfunc: u32,
            ) -> ::core::ffi::c_int {
                // SAFETY: By the safety requirements of this function.
                unsafe { push_encap::may_call(prog) }
            }
        };
    };
}
pub(crate) use stock_push_encap;

extern "C" {
    /// The set of kfuncs, in `rust/stubs/kfunc.c`.
    static lwtcls_kfunc_set: bindings::btf_kfunc_id_set;
}

/// Offers the kfunc to programs that are loaded from now on, until the module goes.
///
/// Only from the module's initialisation. The error is the BPF core's, for lack of type
/// information in the kernel or the module. C: `register_btf_kfunc_id_set()`.
pub(crate) struct Kfunc(());

impl Kfunc {
    /// As above.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: The set is static and complete. All types of programs on routes are one kind.
        to_result(unsafe {
            bindings::register_btf_kfunc_id_set(LwtIn::TYPE, &raw const lwtcls_kfunc_set)
        })?;
        Ok(Self(()))
    }
}

impl Drop for Kfunc {
    fn drop(&mut self) {
        // Nobody calls it any more, but packets that a call kept may still wait to be freed.
        rcu::rcu_barrier();
    }
}

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

    // SAFETY: As above; there are no methods that take a shared reference.
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

    impl Drop for Entry {
        fn drop(&mut self) {
            // SAFETY: Registered, by the type invariant.
            unsafe { bindings::unregister_ftrace_direct(self.ops.get(), self.entry, true) };
            // Whoever came in before is in a read side still: see above, at the head of the file.
            rcu::synchronize_rcu();
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
