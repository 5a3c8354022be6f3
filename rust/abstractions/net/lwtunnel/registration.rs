// SPDX-License-Identifier: GPL-2.0-only

//! Registration of an [`Encap`] with the core.

use super::{
    entries::Ops,
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

/// Why an encapsulation could not be registered.
pub(crate) enum Unavailable {
    /// The slot is taken, and the caller did not ask to take it over.
    Taken,
    /// The slot is taken, probably by the built-in ops, but the address of the kernel's table is
    /// unknown.
    Unknown,
    /// The slot is taken by something other than the built-in ops.
    Foreign,
    /// Another error.
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
/// uses the encapsulation.
pub(crate) struct Registration<T: Encap> {
    ops: &'static bindings::lwtunnel_encap_ops,
    /// `None` if the slot was free.
    takeover: Option<Takeover>,
    _encap: PhantomData<fn() -> T>,
}

// SAFETY: The table is constant, and its functions may be called from any thread.
unsafe impl<T: Encap> Send for Registration<T> {}

// SAFETY: The table is constant, and a shared reference cannot change the value.
unsafe impl<T: Encap> Sync for Registration<T> {}

impl<T: Ops> Registration<T> {
    /// Registers `T` in the slot `T::TYPE`. If the built-in ops have the slot, takes it over if
    /// `takeover` is set.
    ///
    /// Fails if there is another registration, so all states in the list are of `T`. Process
    /// context.
    pub(crate) fn new(takeover: bool) -> Result<Self, Unavailable> {
        links::claim().map_err(Unavailable::Error)?;
        Self::register(takeover).inspect_err(|_| links::release())
    }

    /// [`Self::new`], with the list claimed.
    fn register(takeover: bool) -> Result<Self, Unavailable> {
        let ops = T::OPS;
        // SAFETY: The table is static and complete.
        let takeover = match unsafe { bindings::lwtunnel_encap_add_ops(ops, T::TYPE) } {
            0 => None,
            // The core's error is -1, which does not mean `EPERM`.
            -1 if takeover => {
                // SAFETY: The functions of `ops` check for `OURS`, and pass on states that lack it.
                Some(unsafe { Takeover::new(ops, T::TYPE, T::BUILTIN_OPS) }?)
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

    /// Returns whether the slot was taken over from the built-in ops. The drop gives it back to
    /// them.
    pub(crate) fn is_takeover(&self) -> bool {
        self.takeover.is_some()
    }
}

impl<T: Encap> Drop for Registration<T> {
    fn drop(&mut self) {
        if let Some(takeover) = self.takeover.take() {
            // Waits for the last of our states, before the barrier for what the state has left.
            drop(takeover);
        } else {
            // SAFETY: Registered by `new`. The core waits until no packet is in a callback.
            unsafe { bindings::lwtunnel_encap_del_ops(self.ops, T::TYPE) };
        }
        // RCU callbacks of cached routes (`CachedDst`) may be pending.
        rcu_barrier();
        // Each state holds a reference to the module, so all are freed before the registration is
        // dropped.
        links::release();
    }
}
