// SPDX-License-Identifier: GPL-2.0-only

//! Registration of a [`Classifier`] with the core.

use super::{
    entries::{
        kind,
        Entries, //
    },
    Classifier, //
};
use crate::abstractions::bindings;
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Keeps a classifier registered until it is dropped. The core holds the module while there is an
/// instance.
pub(crate) struct Registration<T: Classifier> {
    /// On the heap, for the core links the tables into a list.
    ops: KBox<Opaque<bindings::tcf_proto_ops>>,
    _classifier: PhantomData<fn() -> T>,
}

// SAFETY: The table belongs to the core while it is registered; we only keep it in place.
unsafe impl<T: Classifier> Send for Registration<T> {}

// SAFETY: Whoever shares it can do nothing with it.
unsafe impl<T: Classifier> Sync for Registration<T> {}

impl<T: Entries> Registration<T> {
    /// Takes the kind `T::KIND`. `EEXIST` if another classifier has it.
    pub(crate) fn new() -> Result<Self> {
        let ops = bindings::tcf_proto_ops {
            kind: const { kind(T::KIND) },
            ..T::OPS
        };
        let ops = KBox::new(Opaque::new(ops), GFP_KERNEL)?;
        // SAFETY: The table is complete, and stays in place until it is unregistered by the drop.
        to_result(unsafe { bindings::register_tcf_proto_ops(ops.get()) })?;
        Ok(Self {
            ops,
            _classifier: PhantomData,
        })
    }
}

impl<T: Classifier> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`. Waits for all that `Deferred` has queued.
        unsafe { bindings::unregister_tcf_proto_ops(self.ops.get()) };
    }
}
