// SPDX-License-Identifier: GPL-2.0-only

//! Network devices.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::skbuff::Skb;
use crate::abstractions::{
    bindings,
    bpf::RunContext,
    sync::rcu::ReadSide, //
};
use kernel::{
    prelude::*,
    types::Opaque, //
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
    pub(crate) fn l3_master_ifindex(&self, _rcu: &ReadSide<'_>) -> c_int {
        // SAFETY: The device is valid by the reference. Its master stays for the RCU read side.
        unsafe {
            let master = bindings::l3mdev_master_dev_rcu(self.as_ptr());
            if master.is_null() {
                0
            } else {
                bindings::dev_ifindex(master)
            }
        }
    }

    /// Bytes that the device wants in front of the network header, MAC header and alignment
    /// included. C: `LL_RESERVED_SPACE()`.
    #[inline(always)]
    pub(crate) fn ll_reserved_space(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { bindings::LL_RESERVED_SPACE(self.as_ptr()) }
    }

    /// Whether what is sent through the device has a MAC header. C: `dev_is_mac_header_xmit()`.
    pub(crate) fn has_mac_header(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::dev_is_mac_header_xmit(self.as_ptr()) }
    }

    /// Sends a packet out of the device, which may be down. Gives the packet back if this CPU is
    /// sending packets within packets too deeply already. C: the end of `bpf_redirect()` to egress,
    /// `dev_xmit_recursion()`.
    pub(crate) fn transmit(&self, _ctx: &RunContext<'_>, skb: Skb) -> Result<(), Skb> {
        // SAFETY: Bottom halves are off, by the token: this stays on its CPU.
        if unsafe { bindings::dev_xmit_recursion() } {
            return Err(skb);
        }
        let at_ingress = skb.at_tc_ingress();
        let skb = skb.into_raw();
        // SAFETY: The packet is ours to give away, the device is valid by the reference. Bottom
        // halves are off, by the token, so that the same CPU counts down.
        unsafe {
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = self.as_ptr();
            bindings::skb_set_redirected_noclear(skb, at_ingress);
            bindings::skb_clear_tstamp(skb);
            bindings::dev_xmit_recursion_inc();
            // What becomes of the packet is the device's to count.
            bindings::dev_queue_xmit(skb);
            bindings::dev_xmit_recursion_dec();
        }
        Ok(())
    }

    /// Has the device receive a packet, whose data begin with a MAC header if `mac_header`. Gives the
    /// packet back if that header is not all in the linear data. C: the end of `bpf_redirect()` to
    /// ingress.
    pub(crate) fn receive(&self, skb: Skb, mac_header: bool) -> Result<(), Skb> {
        if mac_header && skb.headlen() < bindings::ETH_HLEN {
            return Err(skb);
        }
        let (skb, dev) = (skb.into_raw(), self.as_ptr());
        // SAFETY: The packet is ours to give away, the device is valid by the reference. The callee
        // frees a packet that it refuses. The MAC header is linear data, by the check above.
        unsafe {
            if bindings::____dev_forward_skb(dev, skb, false) != 0 {
                return Ok(());
            }
            if mac_header {
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
            bindings::netif_rx(skb);
        }
        Ok(())
    }
}
