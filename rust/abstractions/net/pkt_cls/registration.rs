// SPDX-License-Identifier: GPL-2.0-only

//! Registration of a [`Classifier`] with the core.

use super::{
    entries::{
        kind,
        Ops, //
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

/// Keeps a classifier registered until it is dropped. The core holds the module while there is a
/// tcf_proto.
pub(crate) struct Registration<T: Classifier> {
    /// On the heap, because the core links the ops into a list.
    ops: KBox<Opaque<bindings::tcf_proto_ops>>,
    _classifier: PhantomData<fn() -> T>,
}

// SAFETY: The ops belong to the core while they are registered. This type only keeps them in place.
unsafe impl<T: Classifier> Send for Registration<T> {}

// SAFETY: A shared reference gives no access to the ops.
unsafe impl<T: Classifier> Sync for Registration<T> {}

impl<T: Ops> Registration<T> {
    /// Registers the kind `T::KIND`. Fails with `EEXIST` if another classifier has it.
    pub(crate) fn new() -> Result<Self> {
        let ops = bindings::tcf_proto_ops {
            kind: const { kind(T::KIND) },
            ..T::OPS
        };
        let ops = KBox::new(Opaque::new(ops), GFP_KERNEL)?;
        // SAFETY: The ops are complete, and stay in place until the drop unregisters them.
        to_result(unsafe { bindings::register_tcf_proto_ops(ops.get()) })?;
        Ok(Self {
            ops,
            _classifier: PhantomData,
        })
    }
}

impl<T: Classifier> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`. The core waits for everything that `RcuWorkBox` has queued.
        unsafe { bindings::unregister_tcf_proto_ops(self.ops.get()) };
    }
}
