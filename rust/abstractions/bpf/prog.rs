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
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*,
    ptr::project,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
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

/// A loaded program of type `T`. C: `struct bpf_prog`.
///
/// # Invariants
///
/// The program takes what a program of type `T::TYPE` takes.
#[repr(transparent)]
pub(crate) struct Prog<T>(Opaque<bindings::bpf_prog>, PhantomData<T>);

// SAFETY: A program is immutable once loaded, its refcount is atomic, and it may be released in any
// context.
unsafe impl<T> Send for Prog<T> {}

// SAFETY: All methods take a shared reference, and only read fields that do not change after load.
unsafe impl<T> Sync for Prog<T> {}

// SAFETY: Every loaded program is reference-counted, and is freed no earlier than a grace period
// after the last reference was put.
unsafe impl<T> AlwaysRefCounted for Prog<T> {
    fn inc_ref(&self) {
        // SAFETY: The program is valid by the reference.
        unsafe { bindings::bpf_prog_inc(self.as_ptr()) };
    }

    /// # Safety
    ///
    /// As for [`AlwaysRefCounted::dec_ref`].
    unsafe fn dec_ref(prog: NonNull<Self>) {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::bpf_prog_put(prog.as_ptr().cast()) };
    }
}

impl<T: ProgType> Prog<T> {
    /// Takes a reference to the program of a file descriptor of the calling process. Process
    /// context. C: `bpf_prog_get_type()`.
    ///
    /// Fails with
    /// - `EBADF` if the file descriptor is not open,
    /// - `EINVAL` if it is no program, a program of another type, or one that only a device can
    ///   run.
    pub(crate) fn from_fd(fd: u32) -> Result<ARef<Self>> {
        // SAFETY: An FFI call with no requirements but process context.
        let prog = unsafe { bindings::bpf_prog_get_type_dev(fd, T::TYPE, false) };
        let prog = NonNull::new(from_err_ptr(prog)?).ok_or(EINVAL)?;
        // SAFETY: The call checked the type, and took a reference.
        Ok(unsafe { Self::from_raw(prog) })
    }
}

impl<T> Prog<T> {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `prog` is valid, the caller passes on one reference to it, and the program can be run as one
    /// of type `T`.
    pub(in crate::abstractions) unsafe fn from_raw(
        prog: NonNull<bindings::bpf_prog>,
    ) -> ARef<Self> {
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: By the safety requirements of this function, the reference becomes that of the
        // result. `Prog` is a transparent wrapper of `bpf_prog`.
        unsafe { ARef::from_raw(prog.cast()) }
    }

    /// Returns the raw pointer.
    #[inline(always)]
    fn as_ptr(&self) -> *mut bindings::bpf_prog {
        self.0.get()
    }

    /// Returns whether both are the same program, as opposed to equal ones.
    pub(crate) fn is(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }

    /// Returns the id of the program, as in `bpftool prog show id`.
    pub(crate) fn id(&self) -> u32 {
        // SAFETY: The program is valid by the reference.
        let aux = unsafe { (*self.as_ptr()).aux };
        // SAFETY: The `aux` of a program lives as long as the program.
        unsafe { (*aux).id }
    }

    /// Returns the tag of the program, a truncated SHA hash of its instructions.
    pub(crate) fn tag(&self) -> &[u8; 8] {
        let tag = project!(self.as_ptr(), .__bindgen_anon_1.tag);
        // SAFETY: The program is valid by the reference, and its tag does not change after load.
        unsafe { &*tag }
    }
}

impl<T: LwtProg> Prog<T> {
    /// Runs the program on a packet, of which it may change anything. Returns its return value.
    /// C: `bpf_prog_run_save_cb()`.
    #[inline(always)]
    pub(crate) fn run(&self, _ctx: &BpfNetContext<'_>, skb: &mut SkBuff) -> u32 {
        skb.set_data_end();
        let prog = NonNull::from(self).cast();
        // SAFETY: The program is valid by the reference.
        if unsafe { (*self.as_ptr()).cb_access() } != 0 {
            // SAFETY: The program is valid by the reference, and takes an `sk_buff` by the type
            // invariant. `_ctx` is a token that bottom halves are disabled, which prevents
            // migration, and that the BPF network context is set.
            unsafe { run_save_cb(prog, skb) }
        } else {
            // SAFETY: The program is valid by the reference, and takes an `sk_buff` by the type
            // invariant. `_ctx` is a token that bottom halves are disabled, which prevents
            // migration, and that the BPF network context is set.
            unsafe { run(prog, skb) }
        }
    }
}
