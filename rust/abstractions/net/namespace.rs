// SPDX-License-Identifier: GPL-2.0-only

//! Network namespaces.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use crate::abstractions::bindings;
use kernel::prelude::*;

/// The inode number of a namespace, as shown by `lsns -t net` and `readlink /proc/self/ns/net`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inum(u32);

impl Inum {
    /// # Safety
    ///
    /// `net` is valid.
    pub(super) unsafe fn of(net: *const bindings::net) -> Self {
        // SAFETY: By the safety requirements of this function.
        Self(unsafe { bindings::net_inum(net) })
    }

    /// Returns the number.
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

/// The namespaces whose configuration a process may see.
#[derive(Clone, Copy)]
pub(crate) enum Visible {
    /// All namespaces.
    All,
    /// Only the process's own namespace.
    Own(Inum),
    /// No namespace.
    None,
}

impl Visible {
    /// Returns the namespaces that the calling process may see: all with `CAP_NET_ADMIN` in the
    /// initial user namespace, its own with `CAP_NET_ADMIN` in the user namespace of its network
    /// namespace.
    ///
    /// Process context. An exiting process has no namespace, and sees none.
    pub(crate) fn to_current() -> Self {
        const CAP: c_int = bindings::CAP_NET_ADMIN as c_int;
        // SAFETY: An FFI call with no requirements but process context.
        let net = unsafe { bindings::current_net() };
        if net.is_null() {
            return Self::None;
        }
        // SAFETY: An FFI call with no requirements but process context.
        if unsafe { bindings::capable(CAP) } {
            return Self::All;
        }
        // SAFETY: The namespace stays valid while the calling process is in it.
        let users = unsafe { bindings::net_user_ns(net) };
        // SAFETY: A namespace holds its user namespace.
        if unsafe { bindings::ns_capable(users, CAP) } {
            // SAFETY: The namespace stays valid while the calling process is in it.
            Self::Own(unsafe { Inum::of(net) })
        } else {
            Self::None
        }
    }

    /// Returns whether the namespace may be seen.
    pub(crate) fn contains(self, net: Inum) -> bool {
        match self {
            Self::All => true,
            Self::Own(own) => own == net,
            Self::None => false,
        }
    }
}
