// SPDX-License-Identifier: GPL-2.0-only

//! What must be set up around the run of a networking program.
//!
//! C header: [`include/linux/filter.h`](srctree/include/linux/filter.h)

use crate::abstractions::{
    bindings,
    net::{
        netdevice::NetDevice,
        skbuff::SkBuff, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit, //
};
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// Evidence that a networking BPF program may run here and now.
///
/// # Invariants
///
/// While a value of this type exists, bottom halves are off on this CPU, and the task has the BPF
/// network context that the place calls for: one of ours or of a caller's, or, in a classful qdisc,
/// where nobody would act on it, perhaps none. Helpers look before they use it.
pub(crate) struct RunContext<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl RunContext<'_> {
    /// Turns bottom halves off, and runs `f` with a BPF network context. Any context but hard
    /// interrupts. C: the frame of `run_lwt_bpf()`.
    #[inline(always)]
    pub(crate) fn enter<R>(f: impl FnOnce(&RunContext<'_>) -> R) -> R {
        // SAFETY: An FFI call with no requirements; undone below.
        unsafe { bindings::local_bh_disable() };
        let mut frame = MaybeUninit::<bindings::bpf_net_context>::uninit();
        // SAFETY: `frame` stays in place until it is taken out of the task again, below. The
        // callee initialises what it must; readers of the rest look at the flags that it cleared.
        let set = unsafe { bindings::bpf_net_ctx_set(frame.as_mut_ptr()) };
        // INVARIANT: Bottom halves are off, and the context was set by the line above or by one of
        // our callers.
        let result = f(&RunContext(PhantomData, NotThreadSafe));
        // SAFETY: `set` is what the call above returned: null if the context is not ours to clear.
        unsafe { bindings::bpf_net_ctx_clear(set) };
        // SAFETY: Pairs with the call above.
        unsafe { bindings::local_bh_enable() };
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

    /// The device of a redirection, in the namespace of the packet's own device.
    /// C: `dev_get_by_index_rcu()`.
    pub(crate) fn device(&self, skb: &SkBuff, redirect: &Redirect) -> Option<&NetDevice> {
        // SAFETY: Bottom halves are off, so this is an RCU read side for as long as `self` is
        // borrowed. The packet is valid, and has a device.
        unsafe {
            let skb = skb.as_ptr();
            let net = bindings::dev_net(
                (*skb)
                    .__bindgen_anon_1
                    .__bindgen_anon_1
                    .__bindgen_anon_1
                    .dev,
            );
            let dev = bindings::dev_get_by_index_rcu(net, redirect.ifindex as c_int);
            (!dev.is_null()).then(|| NetDevice::from_raw(dev))
        }
    }

    /// Takes the caller's word for it.
    ///
    /// # Safety
    ///
    /// Bottom halves are off while the value lives, and whoever acts on what programs put into the
    /// network context has set one.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(PhantomData, NotThreadSafe)
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
