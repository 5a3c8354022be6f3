// SPDX-License-Identifier: GPL-2.0-only

//! Names that users give to programs.

use crate::abstractions::{
    str::{
        Gfp,
        OwnedCStr, //
    },
    sync::bh_lock::BhLock, //
};
use kernel::{
    prelude::*,
    rbtree::{
        Entry,
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        global_lock,
        Arc, //
    }, //
};

/// A name, and the program that it is kept for.
struct Name {
    prog: u32,
    string: OwnedCStr,
}

/// The name that a program has wherever it has one that is kept once.
struct Shared {
    /// How many have it.
    users: usize,
    name: Arc<Name>,
}

/// By the numbers of the programs. `None` until there is one.
type Names = Option<RBTree<u32, Shared>>;

global_lock! {
    // SAFETY: `NAMES` initialises it before it takes it.
    unsafe(uninit) static NAMES_LOCK: SpinLock<Names> = None;
}

// SAFETY: Nobody else uses it.
static NAMES: BhLock<NAMES_LOCK> = unsafe { BhLock::new(&NAMES_LOCK) };

/// Makes names possible. Process context.
pub(crate) fn init() {
    NAMES.init();
}

/// The name of a program, which is kept once for all who give that program that name.
pub(crate) struct SharedName(Arc<Name>);

impl SharedName {
    /// A name for the program with the number `prog`. `ENOMEM`; `EINVAL` without [`init`]. Any context
    /// with interrupts enabled; it does not sleep. O(log n) for so many programs.
    pub(crate) fn new(prog: u32, name: &CStr) -> Result<Self> {
        let found = NAMES.with(|names| {
            let shared = names.as_mut()?.get_mut(&prog)?;
            (shared.name.string.as_cstr() == name).then(|| {
                shared.users += 1;
                shared.name.clone()
            })
        })?;
        if let Some(name) = found {
            return Ok(Self(name));
        }
        let string = OwnedCStr::new(name, Gfp::ATOMIC)?;
        let name = Arc::new(Name { prog, string }, GFP_ATOMIC)?;
        let mut node = Some(RBTreeNodeReservation::new(GFP_ATOMIC)?);
        NAMES.with(|names| {
            // A program that has another name already keeps that.
            if let Entry::Vacant(place) = names.get_or_insert_with(RBTree::new).entry(prog) {
                if let Some(node) = node.take() {
                    let name = name.clone();
                    place.insert(Shared { users: 1, name }, node);
                }
            }
        })?;
        Ok(Self(name))
    }

    /// The name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        self.0.string.as_cstr()
    }
}

impl PartialEq for SharedName {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_cstr() == other.as_cstr()
    }
}

impl Drop for SharedName {
    fn drop(&mut self) {
        // What goes is freed with the lock given back.
        let _gone = NAMES.with(|names| match names.as_mut()?.entry(self.0.prog) {
            Entry::Occupied(mut shared) if Arc::ptr_eq(&shared.get().name, &self.0) => {
                shared.get_mut().users -= 1;
                (shared.get().users == 0).then(|| shared.remove_node())
            }
            _ => None,
        });
    }
}
