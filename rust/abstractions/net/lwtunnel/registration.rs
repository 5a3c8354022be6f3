// SPDX-License-Identifier: GPL-2.0-only

//! Registration of an [`Encap`] with the core.

use super::{
    entries::Entries,
    links,
    takeover::Takeover,
    Encap, //
};
use crate::abstractions::{
    bindings,
    compat::rcu_barrier, //
};
use core::marker::PhantomData;
use kernel::{
    fmt,
    prelude::*, //
};

/// Why an encapsulation is not registered.
pub(crate) enum Unavailable {
    /// Another one has the slot, and nobody wanted to take it over.
    Taken,
    /// The kernel's own seems to have the slot, but the kernel does not tell where that is.
    Unknown,
    /// Something else than the kernel's own has the slot.
    Foreign,
    /// Another reason.
    Error(Error),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("it is taken, and was not to be taken over"),
            Self::Unknown => {
                f.write_str("it is taken, and the kernel does not tell where its table of them is")
            }
            Self::Foreign => f.write_str("it is taken by something else than the kernel's own"),
            Self::Error(error) => write!(f, "error {}", error.to_errno()),
        }
    }
}

/// Keeps an encapsulation registered until it is dropped. The core holds the module while a route
/// uses it.
pub(crate) struct Registration<T: Encap> {
    ops: &'static bindings::lwtunnel_encap_ops,
    /// `None` if the slot was free.
    takeover: Option<Takeover>,
    _encap: PhantomData<fn() -> T>,
}

// SAFETY: The table is never written, and the functions that it names may be called from anywhere.
unsafe impl<T: Encap> Send for Registration<T> {}

// SAFETY: The table is never written, and nothing of the value can be changed.
unsafe impl<T: Encap> Sync for Registration<T> {}

impl<T: Entries> Registration<T> {
    /// Takes the slot `T::TYPE`; if the kernel's own has it, and `takeover` says so, takes it over
    /// from that. Once for a module, of whose `T` all states in the list are then. Process context.
    pub(crate) fn new(takeover: bool) -> Result<Self, Unavailable> {
        let ops = T::OPS;
        links::init().map_err(Unavailable::Error)?;
        // SAFETY: The table is static and complete.
        let takeover = match unsafe { bindings::lwtunnel_encap_add_ops(ops, T::TYPE) } {
            0 => None,
            // The core's own answer, -1, reads as a question of permissions.
            -1 if takeover => {
                // SAFETY: All of its functions look at the bit, and pass on what lacks it.
                Some(unsafe { Takeover::new(ops, T::TYPE, T::PREDECESSOR) }?)
            }
            -1 => return Err(Unavailable::Taken),
            errno => return Err(Unavailable::Error(Error::from_errno(errno))),
        };
        Ok(Self {
            ops,
            takeover,
            _encap: PhantomData,
        })
    }

    /// Whether the slot was the kernel's own, and will be again.
    pub(crate) fn is_takeover(&self) -> bool {
        self.takeover.is_some()
    }
}

impl<T: Encap> Drop for Registration<T> {
    fn drop(&mut self) {
        if self.takeover.is_none() {
            // SAFETY: Registered by `new`. Waits until no packet is inside a callback.
            unsafe { bindings::lwtunnel_encap_del_ops(self.ops, T::TYPE) };
        }
        // Notes that packets have made of routes (`DstNote`) may have callbacks left.
        rcu_barrier();
    }
}
