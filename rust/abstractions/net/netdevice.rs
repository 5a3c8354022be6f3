// SPDX-License-Identifier: GPL-2.0-only

//! Network devices.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::skbuff::Skb;
use crate::abstractions::{
    bindings,
    bpf::BpfNetContext,
    sync::rcu::ReadSide, //
};
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// A borrowed device. C: `struct net_device`.
#[repr(transparent)]
pub(crate) struct NetDevice(Opaque<bindings::net_device>);

impl NetDevice {
    /// # Safety
    ///
    /// `dev` is valid for `'a`.
    pub(in crate::abstractions) unsafe fn from_raw<'a>(dev: *mut bindings::net_device) -> &'a Self {
        // SAFETY: The type is `repr(transparent)`. The rest is by the safety requirements of this
        // function.
        unsafe { &*dev.cast() }
    }

    /// Returns the raw pointer.
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::net_device {
        self.0.get()
    }

    /// Returns the namespace of the device.
    #[inline(always)]
    pub(super) fn net(&self) -> *mut bindings::net {
        // SAFETY: The device is valid by the reference.
        unsafe { bindings::dev_net(self.as_ptr()) }
    }

    /// Returns the ifindex of the VRF that the device belongs to, or is. Returns 0 if there is
    /// none. C: `l3mdev_master_dev_rcu()`.
    #[inline(always)]
    pub(crate) fn l3_master_ifindex(&self, _rcu: &ReadSide<'_>) -> c_int {
        // SAFETY: The device is valid by the reference. The token shows that this is an RCU
        // read-side critical section.
        let master = unsafe { bindings::l3mdev_master_dev_rcu(self.as_ptr()) };
        if master.is_null() {
            0
        } else {
            // SAFETY: The master stays valid for the RCU read-side critical section.
            unsafe { bindings::dev_ifindex(master) }
        }
    }

    /// Returns the headroom that the device needs before the network header, for the MAC header and
    /// its alignment. C: `LL_RESERVED_SPACE()`.
    #[inline(always)]
    pub(crate) fn ll_reserved_space(&self) -> u32 {
        // SAFETY: The device is valid by the reference.
        unsafe { bindings::LL_RESERVED_SPACE(self.as_ptr()) }
    }

    /// Returns whether packets that are sent to the device have a MAC header.
    /// C: `dev_is_mac_header_xmit()`.
    pub(crate) fn has_mac_header(&self) -> bool {
        // SAFETY: The device is valid by the reference.
        unsafe { bindings::dev_is_mac_header_xmit(self.as_ptr()) }
    }

    /// Sends a packet to the device, which may be down. C: `__bpf_tx_skb()`, the end of
    /// `bpf_redirect()` to egress.
    ///
    /// Returns the packet if the limit of nested transmissions is reached (`dev_xmit_recursion()`).
    pub(crate) fn transmit(&self, _ctx: &BpfNetContext<'_>, skb: Skb) -> Result<(), Skb> {
        // SAFETY: Bottom halves are disabled, by the token, so the task stays on this CPU.
        if unsafe { bindings::dev_xmit_recursion() } {
            return Err(skb);
        }
        let at_ingress = skb.at_tc_ingress();
        // SAFETY: The packet is owned, and the device is valid by the reference.
        unsafe { skb.dev_field().write(self.as_ptr()) };
        // SAFETY: The packet is owned.
        unsafe { bindings::skb_set_redirected_noclear(skb.as_ptr(), at_ingress) };
        // SAFETY: The packet is owned.
        unsafe { bindings::skb_clear_tstamp(skb.as_ptr()) };
        // SAFETY: Bottom halves are disabled, by the token, so the task stays on this CPU.
        unsafe { bindings::dev_xmit_recursion_inc() };
        // From here on, drops are counted in the statistics of the device.
        // SAFETY: The packet is owned and passed on, and has a device.
        unsafe { bindings::dev_queue_xmit(skb.into_raw()) };
        // SAFETY: The counter is that of the same CPU, because bottom halves are disabled, by the
        // token.
        unsafe { bindings::dev_xmit_recursion_dec() };
        Ok(())
    }

    /// Lets the device receive a packet. C: `__bpf_rx_skb()` and `__bpf_rx_skb_no_mac()`, the end
    /// of `bpf_redirect()` to ingress.
    ///
    /// If `mac_header` is set, the data begins with a MAC header. Returns the packet if that header
    /// is not completely in the linear data.
    pub(crate) fn receive(&self, skb: Skb, mac_header: bool) -> Result<(), Skb> {
        if mac_header && skb.headlen() < bindings::ETH_HLEN {
            return Err(skb);
        }
        let (skb, dev) = (skb.into_raw(), self.as_ptr());
        // SAFETY: The packet is owned, and the device is valid by the reference. The callee frees a
        // packet that it rejects.
        if unsafe { bindings::____dev_forward_skb(dev, skb, false) } != 0 {
            return Ok(());
        }
        // SAFETY: The callee did not reject the packet, which is still ours.
        let mut skb = unsafe { Skb::from_raw(skb) };
        if mac_header {
            // SAFETY: The packet is owned. Its MAC header is in the linear data, by the check
            // above.
            let protocol = unsafe { bindings::eth_type_trans(skb.as_ptr(), dev) };
            skb.headers_mut().protocol = protocol;
            // SAFETY: The packet is owned, and `eth_type_trans()` set its MAC header.
            let header = unsafe { bindings::skb_mac_header(skb.as_ptr()) };
            // SAFETY: The packet is owned, and `eth_type_trans()` pulled `ETH_HLEN` bytes at
            // `header`.
            unsafe {
                bindings::skb_postpull_rcsum(skb.as_ptr(), header.cast(), bindings::ETH_HLEN);
            }
        } else {
            // SAFETY: The packet is owned, and the device is valid by the reference.
            unsafe { skb.dev_field().write(dev) };
        }
        // SAFETY: The packet is owned and passed on, and has a device.
        unsafe { bindings::netif_rx(skb.into_raw()) };
        Ok(())
    }
}
