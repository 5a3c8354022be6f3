// SPDX-License-Identifier: GPL-2.0-only

//! Programs that run on the packets of a route.
//!
//! C header: [`include/linux/filter.h`](srctree/include/linux/filter.h)

use super::{
    run::{
        run,
        run_save_cb, //
    },
    BpfNetContext, //
};
use crate::abstractions::{
    bindings,
    net::skbuff::SkBuff, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

/// A program type.
pub(crate) trait ProgType {
    /// The type. C: `BPF_PROG_TYPE_*`.
    const TYPE: u32;
}

/// A program type of the lightweight tunnel hooks.
pub(crate) trait LwtProg: ProgType {}

macro_rules! prog_types {
    ($($(#[$doc:meta])* $name:ident = $value:ident;)*) => {
        $(
            $(#[$doc])*
            pub(crate) enum $name {}

            impl ProgType for $name {
                const TYPE: u32 = bindings::$value;
            }
        )*
    };
}

prog_types! {
    /// Runs on packets that a route receives, before they are delivered or forwarded
    /// (`BPF_PROG_TYPE_LWT_IN`).
    LwtIn = bpf_prog_type_BPF_PROG_TYPE_LWT_IN;
    /// Runs on packets that a route sends, before fragmentation (`BPF_PROG_TYPE_LWT_OUT`).
    LwtOut = bpf_prog_type_BPF_PROG_TYPE_LWT_OUT;
    /// Runs on packets that a route sends, before they get a MAC header (`BPF_PROG_TYPE_LWT_XMIT`).
    LwtXmit = bpf_prog_type_BPF_PROG_TYPE_LWT_XMIT;
}

impl LwtProg for LwtIn {}
impl LwtProg for LwtOut {}
impl LwtProg for LwtXmit {}

/// A counted reference to a program of type `T`, which is released when it is dropped.
///
/// # Invariants
///
/// The pointer is to a valid `bpf_prog` of type `T::TYPE`, and the value owns one reference to it.
pub(crate) struct Prog<T>(NonNull<bindings::bpf_prog>, PhantomData<T>);

// SAFETY: A program is immutable once loaded, its refcount is atomic, and it may be released in any
// context.
unsafe impl<T> Send for Prog<T> {}

// SAFETY: All methods take a shared reference, and only read fields that do not change after load.
unsafe impl<T> Sync for Prog<T> {}

impl<T: ProgType> Prog<T> {
    /// Takes a reference to the program of a file descriptor of the calling process. Process
    /// context. C: `bpf_prog_get_type()`.
    ///
    /// Fails with
    /// - `EBADF` if the file descriptor is not open,
    /// - `EINVAL` if it is no program, a program of another type, or one that only a device can
    ///   run.
    pub(crate) fn from_fd(fd: u32) -> Result<Self> {
        // SAFETY: An FFI call with no requirements but process context.
        let prog = unsafe { bindings::bpf_prog_get_type_dev(fd, T::TYPE, false) };
        let prog = from_err_ptr(prog)?;
        // INVARIANT: The call checked the type, and took a reference.
        Ok(Self(NonNull::new(prog).ok_or(EINVAL)?, PhantomData))
    }
}

#[cfg(lwtcls_kunit)]
impl<T> Prog<T> {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `prog` is valid, the caller passes on one reference to it, and the program can be run as one
    /// of type `T`.
    pub(in crate::abstractions) unsafe fn from_raw(prog: NonNull<bindings::bpf_prog>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(prog, PhantomData)
    }
}

impl<T> Prog<T> {
    /// Returns whether both are the same program, as opposed to equal ones.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Returns the id of the program, as in `bpftool prog show id`.
    pub(crate) fn id(&self) -> u32 {
        // SAFETY: The program is valid by the type invariant, and its `aux` lives as long.
        unsafe { (*(*self.0.as_ptr()).aux).id }
    }

    /// Returns the tag of the program, a truncated SHA hash of its instructions.
    pub(crate) fn tag(&self) -> &[u8; 8] {
        // SAFETY: The program is valid by the type invariant, and its tag does not change after
        // load.
        unsafe { &(*self.0.as_ptr()).__bindgen_anon_1.tag }
    }
}

impl<T: LwtProg> Prog<T> {
    /// Runs the program on a packet, of which it may change anything. Returns its return value.
    /// C: `bpf_prog_run_save_cb()`.
    #[inline(always)]
    pub(crate) fn run(&self, _ctx: &BpfNetContext<'_>, skb: &mut SkBuff) -> u32 {
        skb.set_data_end();
        // SAFETY: The packet is valid and exclusively borrowed. The program is valid by the type
        // invariant, and takes an `sk_buff` by its type. `_ctx` is a token that bottom halves are
        // disabled, which prevents migration, and that the BPF network context is set.
        unsafe {
            if (*self.0.as_ptr()).cb_access() != 0 {
                run_save_cb(self.0, skb)
            } else {
                run(self.0, skb)
            }
        }
    }
}

impl<T> Drop for Prog<T> {
    fn drop(&mut self) {
        // SAFETY: The value owns a reference by the type invariant, and does not use it after this.
        // The program is freed after a grace period.
        unsafe { bindings::bpf_prog_put(self.0.as_ptr()) };
    }
}
