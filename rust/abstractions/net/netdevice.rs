// SPDX-License-Identifier: GPL-2.0-only

//! Network devices.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::skbuff::Skb;
use crate::abstractions::{
    bindings,
    bpf::RunContext, //
};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// A device, borrowed. C: `struct net_device`.
#[repr(transparent)]
pub(crate) struct NetDevice(Opaque<bindings::net_device>);

impl NetDevice {
    /// # Safety
    ///
    /// `dev` is valid for `'a`.
    pub(in crate::abstractions) unsafe fn from_raw<'a>(dev: *mut bindings::net_device) -> &'a Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &*dev.cast() }
    }

    /// The C view of the device.
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::net_device {
        self.0.get()
    }

    /// The namespace of the device.
    #[inline(always)]
    pub(super) fn net(&self) -> *mut bindings::net {
        // SAFETY: The device is valid.
        unsafe { bindings::dev_net(self.as_ptr()) }
    }

    /// The number of the VRF that the device belongs to, or is; 0 if there is none.
    /// C: `l3mdev_master_dev_rcu()`.
    #[inline(always)]
    pub(crate) fn l3_master_ifindex(&self) -> c_int {
        // SAFETY: The device is valid, and found or borrowed inside of an RCU read side, for which
        // its master is valid as well.
        unsafe {
            let master = bindings::l3mdev_master_dev_rcu(self.as_ptr());
            if master.is_null() {
                0
            } else {
                bindings::dev_ifindex(master)
            }
        }
    }

    /// Bytes that the device wants in front of the network header, link header and alignment
    /// included. C: `LL_RESERVED_SPACE()`.
    #[inline(always)]
    pub(crate) fn ll_reserved_space(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { bindings::LL_RESERVED_SPACE(self.as_ptr()) }
    }

    /// Whether what is sent through the device has a link header. C: `dev_is_mac_header_xmit()`.
    pub(crate) fn has_link_header(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::dev_is_mac_header_xmit(self.as_ptr()) }
    }

    /// Sends a packet out of the device, which may be down. Consumes it. Returns 0, `NET_XMIT_*` or
    /// an errno. C: the end of `bpf_redirect()` to egress.
    pub(crate) fn transmit(&self, _guard: &XmitRecursion<'_>, skb: Skb) -> c_int {
        let skb = skb.into_raw();
        // SAFETY: The packet is ours to give away, the device is valid inside of the RCU read side
        // that it was found in.
        unsafe {
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = self.as_ptr();
            bindings::skb_set_redirected_noclear(skb, bindings::skb_at_tc_ingress(skb));
            bindings::skb_clear_tstamp(skb);
            bindings::dev_queue_xmit(skb)
        }
    }

    /// Has the device receive a packet, which has a link header in its data if `link_header`.
    /// Consumes it. Returns 0 or `NET_RX_*`. C: the end of `bpf_redirect()` to ingress.
    pub(crate) fn receive(&self, skb: Skb, link_header: bool) -> c_int {
        let (skb, dev) = (skb.into_raw(), self.as_ptr());
        // SAFETY: The packet is ours to give away, the device is valid inside of the RCU read side
        // that it was found in. The callee frees a packet that it refuses.
        unsafe {
            let refused = bindings::____dev_forward_skb(dev, skb, false);
            if refused != 0 {
                return refused;
            }
            if link_header {
                let protocol = bindings::eth_type_trans(skb, dev);
                (*skb).__bindgen_anon_4.headers.as_mut().protocol = protocol;
                let header = bindings::skb_mac_header(skb).cast();
                bindings::skb_postpull_rcsum(skb, header, bindings::ETH_HLEN);
            } else {
                (*skb)
                    .__bindgen_anon_1
                    .__bindgen_anon_1
                    .__bindgen_anon_1
                    .dev = dev;
            }
            bindings::netif_rx(skb)
        }
    }
}

/// One more level of sending a packet while a packet is sent, on this CPU.
///
/// # Invariants
///
/// Bottom halves are off, and the level is counted while the value lives.
pub(crate) struct XmitRecursion<'a>(PhantomData<&'a ()>, NotThreadSafe);

impl<'a> XmitRecursion<'a> {
    /// `None` if there are too many already. C: `dev_xmit_recursion()`, `dev_xmit_recursion_inc()`.
    pub(crate) fn enter(_ctx: &'a RunContext<'_>) -> Option<Self> {
        // SAFETY: Bottom halves are off, by the evidence.
        unsafe {
            if bindings::dev_xmit_recursion() {
                return None;
            }
            bindings::dev_xmit_recursion_inc();
        }
        // INVARIANT: Counted by the line above.
        Some(Self(PhantomData, NotThreadSafe))
    }
}

impl Drop for XmitRecursion<'_> {
    fn drop(&mut self) {
        // SAFETY: Counted by `enter`, on this CPU, for bottom halves are off since then.
        unsafe { bindings::dev_xmit_recursion_dec() };
    }
}
