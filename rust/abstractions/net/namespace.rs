// SPDX-License-Identifier: GPL-2.0-only

//! Network namespaces.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use crate::abstractions::bindings;
use kernel::prelude::*;

/// The number of a namespace, as `lsns -t net` and `readlink /proc/self/ns/net` show it.
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

    /// The number itself.
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

/// The namespaces whose configuration the calling process may see.
#[derive(Clone, Copy)]
pub(crate) enum Visible {
    /// All of them.
    All,
    /// Only its own.
    Own(Inum),
    /// None of them.
    None,
}

impl Visible {
    /// Those of the calling process: who has `CAP_NET_ADMIN` in the initial user namespace sees all,
    /// who has it in that of the own network namespace sees that one. Process context; an exiting
    /// process has no namespace, and sees none.
    pub(crate) fn to_current() -> Self {
        const CAP: c_int = bindings::CAP_NET_ADMIN as c_int;
        // SAFETY: A process has a network namespace, or none; it stays while the process is in it.
        unsafe {
            let net = bindings::current_net();
            if net.is_null() {
                Self::None
            } else if bindings::capable(CAP) {
                Self::All
            } else if bindings::ns_capable(bindings::net_user_ns(net), CAP) {
                Self::Own(Inum::of(net))
            } else {
                Self::None
            }
        }
    }

    /// Whether the namespace is among them.
    pub(crate) fn contains(self, net: Inum) -> bool {
        match self {
            Self::All => true,
            Self::Own(own) => own == net,
            Self::None => false,
        }
    }
}
