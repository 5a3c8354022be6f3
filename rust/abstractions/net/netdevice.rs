// SPDX-License-Identifier: GPL-2.0-only

//! Network devices.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use crate::abstractions::bindings;
use kernel::types::Opaque;

/// A device, borrowed. C: `struct net_device`.
#[repr(transparent)]
pub(crate) struct NetDevice(Opaque<bindings::net_device>);

impl NetDevice {
    /// # Safety
    ///
    /// `dev` is valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(dev: *mut bindings::net_device) -> &'a Self {
        // SAFETY: The type is transparent; the rest by the safety requirements of this function.
        unsafe { &*dev.cast() }
    }

    /// The C view of the device.
    pub(in crate::abstractions) fn as_ptr(&self) -> *mut bindings::net_device {
        self.0.get()
    }
}
