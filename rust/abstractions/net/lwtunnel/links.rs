// SPDX-License-Identifier: GPL-2.0-only

//! The list of all tunnel states.

use crate::abstractions::{
    bindings,
    sync::bh_lock::BhLock, //
};
use core::ptr;
use kernel::{
    prelude::*,
    ptr::project,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        global_lock,
        GlobalGuard, //
    },
    types::Opaque, //
};

/// The head of the list, which points to the newest state.
struct Head(Opaque<bindings::hlist_head>);

// SAFETY: The list is only accessed with the lock held.
unsafe impl Send for Head {}

global_lock! {
    // SAFETY: `STATES` initialises the lock before it takes it.
    unsafe(uninit) static STATES_LOCK: SpinLock<Head> = Head(Opaque::new(bindings::hlist_head {
        first: ptr::null_mut(),
    }));
}

// SAFETY: Nothing else initialises or takes the lock.
static STATES: BhLock<STATES_LOCK> = unsafe { BhLock::new(&STATES_LOCK) };

/// 1 while an encapsulation has the list, else 0.
static CLAIMED: Atomic<u32> = Atomic::new(0);

/// Claims the list for one encapsulation. The first call initialises it.
///
/// Fails with `EBUSY` if another encapsulation has it. Process context.
pub(super) fn claim() -> Result {
    CLAIMED.cmpxchg(0, 1, Acquire).map_err(|_| EBUSY)?;
    STATES.init();
    Ok(())
}

/// Releases the list, which is empty.
pub(super) fn release() {
    CLAIMED.store(0, Release);
}

/// The links of a tunnel state in the list.
///
/// # Invariants
///
/// Zero if the state is not in the list.
#[repr(transparent)]
pub(super) struct Links(Opaque<bindings::hlist_node>);

// SAFETY: The links are only accessed with the lock of the list held, or by the task that creates
// them.
unsafe impl Send for Links {}

// SAFETY: The links are only accessed with the lock of the list held, or by the task that creates
// them.
unsafe impl Sync for Links {}

impl Links {
    /// Creates the links of a state that is not in the list.
    pub(super) fn new() -> Self {
        // INVARIANT: Zero.
        Self(Opaque::zeroed())
    }

    /// Adds the state to the list, which [`claim()`] has initialised.
    ///
    /// # Safety
    ///
    /// `links` is valid, does not move, and is not in the list. [`Self::remove`] is called before
    /// it is freed.
    #[inline(always)]
    pub(super) unsafe fn add(links: *mut Self) {
        // SAFETY: By the safety requirements of this function. The list is locked.
        let _ = STATES.with(|head| unsafe {
            bindings::hlist_add_head(links.cast(), head.0.get());
        });
    }

    /// Removes the state from the list, if it is there.
    ///
    /// # Safety
    ///
    /// `links` is valid.
    pub(super) unsafe fn remove(links: *mut Self) {
        // SAFETY: By the safety requirements of this function. The list is locked.
        // `hlist_del_init()` ignores links that are zero.
        let _ = STATES.with(|_head| unsafe { bindings::hlist_del_init(links.cast()) });
    }
}

/// A counted reference to a state in the list.
///
/// # Invariants
///
/// The value owns one reference to the state.
pub(super) struct Listed(*mut bindings::lwtunnel_state);

impl Listed {
    /// Returns the state.
    pub(super) fn as_ptr(&self) -> *mut bindings::lwtunnel_state {
        self.0
    }

    /// Returns the state after `at`, or the first one. Skips states whose refcount is zero.
    ///
    /// # Safety
    ///
    /// All states in the list have their links at `offset`.
    pub(super) unsafe fn next(at: Option<Self>, offset: usize) -> Option<Self> {
        let find = |head: &mut GlobalGuard<STATES_LOCK>| {
            let mut place = match &at {
                None => project!(mut head.0.get(), .first),
                Some(at) => {
                    let links = at.0.wrapping_byte_add(offset);
                    project!(mut links.cast::<bindings::hlist_node>(), .next)
                }
            };
            loop {
                // SAFETY: The list is locked, so all states in it are valid. A state that `at`
                // holds is still in the list.
                let node = unsafe { *place };
                if node.is_null() {
                    return None;
                }
                let state = node.wrapping_byte_sub(offset).cast();
                // SAFETY: The list is locked, so all states in it are valid.
                if unsafe { bindings::lwtstate_get_not_zero(state) } {
                    // INVARIANT: `lwtstate_get_not_zero()` took the reference.
                    return Some(Self(state));
                }
                place = project!(mut node, .next);
            }
        };
        let found = STATES.with(find).ok().flatten();
        // Dropped without the lock, because dropping the last reference takes the lock.
        drop(at);
        found
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // SAFETY: The value owns one reference by the type invariant, and gives it up here.
        unsafe { bindings::lwtstate_put(self.0) };
    }
}
