// SPDX-License-Identifier: GPL-2.0-only

//! The context that networking programs run in.
//!
//! C header: [`include/linux/filter.h`](srctree/include/linux/filter.h)

use crate::abstractions::{
    bindings,
    net::{
        netdevice::NetDevice,
        skbuff::SkBuff, //
    },
    sync::bottom_half::BhDisabled, //
};
use core::{
    mem::MaybeUninit,
    ops::Deref, //
};
use kernel::prelude::*;

/// A token of the BPF network context, where programs store the target of a redirect.
///
/// It dereferences to a token of disabled bottom halves. The reverse does not hold: tc sets no
/// context for the filters of a classful qdisc, where it does not follow redirects.
///
/// # Invariants
///
/// While a value of this type exists, the task has a BPF network context: its own, or that of a
/// caller.
pub(crate) struct BpfNetContext<'a>(&'a BhDisabled<'a>);

impl BpfNetContext<'_> {
    /// Runs `f` with a BPF network context. C: the frame of `run_lwt_bpf()`.
    #[inline(always)]
    pub(crate) fn enter<R>(bh: &BhDisabled<'_>, f: impl FnOnce(&BpfNetContext<'_>) -> R) -> R {
        let mut frame = MaybeUninit::<bindings::bpf_net_context>::uninit();
        // SAFETY: `frame` is not moved before the context is cleared below. The callee initialises
        // the flags, and readers check these before they read other fields.
        let set = unsafe { bindings::bpf_net_ctx_set(frame.as_mut_ptr()) };
        // INVARIANT: The context was set above or by a caller.
        let result = f(&BpfNetContext(bh));
        // SAFETY: `set` is the result of the call above: null if a caller set the context, who also
        // clears it.
        unsafe { bindings::bpf_net_ctx_clear(set) };
        result
    }

    /// Takes the target that the program set by `bpf_redirect()`. C: `bpf_net_ctx_get_ri()`.
    pub(crate) fn take_redirect(&self) -> Redirect {
        // SAFETY: The context is set, by the type invariant.
        let ri = unsafe { bindings::bpf_net_ctx_get_ri() };
        // SAFETY: `ri` is part of the context, which only this task uses.
        let ri = unsafe { &mut *ri };
        let redirect = Redirect {
            ifindex: ri.tgt_index,
            flags: ri.flags,
        };
        ri.tgt_index = 0;
        ri.flags = 0;
        redirect
    }

    /// Looks up the device of a redirect, in the namespace of the packet's device.
    /// C: `dev_get_by_index_rcu()`.
    ///
    /// Returns `None` if there is no such device, or the packet has no device.
    pub(crate) fn device(&self, skb: &SkBuff, redirect: &Redirect) -> Option<&NetDevice> {
        let own = skb.dev_ptr();
        if own.is_null() {
            return None;
        }
        // SAFETY: Disabled bottom halves are an RCU read-side critical section, in which the device
        // of the packet stays valid.
        let net = unsafe { bindings::dev_net(own) };
        // SAFETY: The namespace of a device stays valid for the same read-side critical section.
        let dev = unsafe { bindings::dev_get_by_index_rcu(net, redirect.ifindex as c_int) };
        // SAFETY: Bottom halves are disabled for as long as `self` is borrowed. This is an RCU
        // read-side critical section, in which the device stays valid.
        (!dev.is_null()).then(|| unsafe { NetDevice::from_raw(dev) })
    }
}

impl<'a> Deref for BpfNetContext<'a> {
    type Target = BhDisabled<'a>;

    #[inline(always)]
    fn deref(&self) -> &BhDisabled<'a> {
        self.0
    }
}

/// The target of a `bpf_redirect()`.
pub(crate) struct Redirect {
    ifindex: u64,
    flags: u32,
}

impl Redirect {
    /// Returns whether the device is to receive the packet, instead of sending it.
    pub(crate) fn to_ingress(&self) -> bool {
        self.flags & bindings::BPF_F_INGRESS != 0
    }

    /// Returns whether the target was set by plain `bpf_redirect()`, the only redirect that is
    /// supported outside tc.
    pub(crate) fn is_plain(&self) -> bool {
        self.flags & !bindings::BPF_F_INGRESS == 0
    }
}
