// SPDX-License-Identifier: GPL-2.0-only

//! What must be set up around the run of a networking program.
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

/// A token of the BPF network context, into which programs write what they want done with a packet.
///
/// It is also a token of disabled bottom halves, by dereferencing. The reverse does not hold: tc
/// sets no context around the filters of a classful qdisc, where it does not follow redirections.
///
/// # Invariants
///
/// While a value of this type exists, the task has a BPF network context: its own, or a caller's.
pub(crate) struct RunContext<'a>(&'a BhDisabled<'a>);

impl RunContext<'_> {
    /// Runs `f` with a BPF network context. C: the frame of `run_lwt_bpf()`.
    #[inline(always)]
    pub(crate) fn enter<R>(bh: &BhDisabled<'_>, f: impl FnOnce(&RunContext<'_>) -> R) -> R {
        let mut frame = MaybeUninit::<bindings::bpf_net_context>::uninit();
        // SAFETY: `frame` stays in place until it is taken out of the task again, below. The callee
        // initialises what it must; readers of the rest look at the flags that it cleared.
        let set = unsafe { bindings::bpf_net_ctx_set(frame.as_mut_ptr()) };
        // INVARIANT: The context was set above, or by one of our callers.
        let result = f(&RunContext(bh));
        // SAFETY: `set` is what the call above returned: null if the context is not ours to clear.
        unsafe { bindings::bpf_net_ctx_clear(set) };
        result
    }

    /// Takes what the program asked `bpf_redirect()` for. C: `bpf_net_ctx_get_ri()`.
    pub(crate) fn take_redirect(&self) -> Redirect {
        // SAFETY: The context is set, by the type invariant.
        unsafe {
            let ri = bindings::bpf_net_ctx_get_ri();
            let redirect = Redirect {
                ifindex: (*ri).tgt_index,
                flags: (*ri).flags,
            };
            (*ri).tgt_index = 0;
            (*ri).flags = 0;
            redirect
        }
    }

    /// The device of a redirection, in the namespace of the packet's own device, if it has one.
    /// C: `dev_get_by_index_rcu()`.
    pub(crate) fn device(&self, skb: &SkBuff, redirect: &Redirect) -> Option<&NetDevice> {
        // SAFETY: The packet is valid. Bottom halves are disabled, so this is an RCU read side, for
        // as long as `self` is borrowed: both devices stay.
        unsafe {
            let skb = skb.as_ptr();
            let own = (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev;
            if own.is_null() {
                return None;
            }
            let net = bindings::dev_net(own);
            let dev = bindings::dev_get_by_index_rcu(net, redirect.ifindex as c_int);
            (!dev.is_null()).then(|| NetDevice::from_raw(dev))
        }
    }
}

impl<'a> Deref for RunContext<'a> {
    type Target = BhDisabled<'a>;

    #[inline(always)]
    fn deref(&self) -> &BhDisabled<'a> {
        self.0
    }
}

/// Where `bpf_redirect()` sends a packet.
pub(crate) struct Redirect {
    ifindex: u64,
    flags: u32,
}

impl Redirect {
    /// Whether the device is to receive the packet, and not to send it.
    pub(crate) fn to_ingress(&self) -> bool {
        self.flags & bindings::BPF_F_INGRESS != 0
    }

    /// Whether it is a plain one, which is all that there is outside of tc.
    pub(crate) fn is_plain(&self) -> bool {
        self.flags & !bindings::BPF_F_INGRESS == 0
    }
}
