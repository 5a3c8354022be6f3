// SPDX-License-Identifier: GPL-2.0-only

//! The list of all tunnel states.

use crate::abstractions::{
    bindings,
    sync::bh_lock::BhLock, //
};
use core::ptr;
use kernel::{
    prelude::*,
    sync::{
        global_lock,
        GlobalGuard, //
    },
    types::Opaque, //
};

/// The newest state's links.
struct Head(Opaque<bindings::hlist_head>);

// SAFETY: The list is only touched with the lock held.
unsafe impl Send for Head {}

global_lock! {
    // SAFETY: `STATES` initialises it before it takes it.
    unsafe(uninit) static STATES_LOCK: SpinLock<Head> = Head(Opaque::new(bindings::hlist_head {
        first: ptr::null_mut(),
    }));
}

// SAFETY: Nobody else uses it.
static STATES: BhLock<STATES_LOCK> = unsafe { BhLock::new(&STATES_LOCK) };

/// Makes the list usable. `EBUSY` if that was done before. Process context.
pub(super) fn init() -> Result {
    STATES.init().then_some(()).ok_or(EBUSY)
}

/// What links a state with others.
///
/// # Invariants
///
/// Zero, if it is in no list.
#[repr(transparent)]
pub(super) struct Links(Opaque<bindings::hlist_node>);

// SAFETY: They are only touched with the lock of the list held, or by who has made them.
unsafe impl Send for Links {}

// SAFETY: They are only touched with the lock of the list held, or by who has made them.
unsafe impl Sync for Links {}

impl Links {
    /// In no list.
    pub(super) fn new() -> Self {
        // INVARIANT: Zero.
        Self(Opaque::zeroed())
    }

    /// Puts the state into the list, which [`init()`] has made usable.
    ///
    /// # Safety
    ///
    /// `links` are valid, stay where they are, and are in no list;
    /// [`Self::remove`] is called before they go.
    #[inline(always)]
    pub(super) unsafe fn add(links: *mut Self) {
        // SAFETY: By the safety requirements of this function; the list is locked.
        let _ = STATES.with(|head| unsafe {
            bindings::hlist_add_head(links.cast(), head.0.get());
        });
    }

    /// Takes the state out of the list, if it is in there.
    ///
    /// # Safety
    ///
    /// `links` are valid.
    pub(super) unsafe fn remove(links: *mut Self) {
        // SAFETY: By the safety requirements of this function; the list is locked. Links that are
        // zero are left alone.
        let _ = STATES.with(|_head| unsafe { bindings::hlist_del_init(links.cast()) });
    }
}

/// A counted reference to a state that is in the list.
///
/// # Invariants
///
/// One reference of the state is ours.
pub(super) struct Listed(*mut bindings::lwtunnel_state);

impl Listed {
    /// The state.
    pub(super) fn as_ptr(&self) -> *mut bindings::lwtunnel_state {
        self.0
    }

    /// The one after `at`, or the first. Those on their way out are left out.
    ///
    /// # Safety
    ///
    /// All states of the list have their links at `offset`.
    pub(super) unsafe fn next(at: Option<Self>, offset: usize) -> Option<Self> {
        let find = |head: &mut GlobalGuard<STATES_LOCK>| {
            // SAFETY: The list is locked: what is in there is valid. A state that we hold is in there
            // still.
            unsafe {
                let mut node = match &at {
                    None => (*head.0.get()).first,
                    Some(at) => {
                        let links = at.0.wrapping_byte_add(offset);
                        (*links.cast::<bindings::hlist_node>()).next
                    }
                };
                while !node.is_null() {
                    let state = node.wrapping_byte_sub(offset).cast();
                    if bindings::lwtstate_get_not_zero(state) {
                        // INVARIANT: Counted by the line above.
                        return Some(Self(state));
                    }
                    node = (*node).next;
                }
                None
            }
        };
        let found = STATES.with(find).ok().flatten();
        // Not under the lock, which is taken again if this was the last reference.
        drop(at);
        found
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // SAFETY: One reference is ours, and this is its end.
        unsafe { bindings::lwtstate_put(self.0) };
    }
}
