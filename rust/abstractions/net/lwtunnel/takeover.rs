// SPDX-License-Identifier: GPL-2.0-only

//! Takes over a slot of the kernel's table of encapsulations, which built-in ops occupy from boot
//! on.
//!
//! The core can register and unregister ops (`struct lwtunnel_encap_ops`), but cannot replace them.
//! If the slot were unregistered first, it would be empty for a grace period, and `lwtstate_free()`
//! dereferences it without a check. So a single `cmpxchg()` puts our ops in place of the built-in
//! ones, and another one restores them.
//!
//! States that the built-in ops have built stay in use. The core calls our ops for them, and these
//! call the built-in ops. The rules are:
//!
//! - *Owner of a state.* Our states have a bit set, [`OURS`].
//! - *Built-in ops* are part of the kernel image and never freed. They are stored a grace period
//!   before our ops are published, so code that finds our ops also finds the built-in ones.
//! - *Module references.* Each of our states holds a reference to our module, which the core takes
//!   when it builds the state and drops when it frees the state. A state of the built-in ops holds
//!   none. But when the core frees it, the core uses the ops that it finds in the slot, and drops a
//!   reference to our module. So [`destroy`] takes one first.
//! - *Late references.* `try_module_get()` finds the module alive, and then increments a count that
//!   is not 0. If [`destroy`] makes it 1 in between, a request or an open file gets a reference
//!   though the unload has begun. So before our ops give the slot back, the unload waits until
//!   nobody holds a reference.
//! - *Unload.* After the built-in ops have their slot back, the module is freed only once nobody can
//!   be executing our callbacks. The packet path and softirqs are in an RCU read-side critical
//!   section. A request may free a tunnel state, too: one that it built before it failed, or to
//!   compare it. It may be preempted, and `synchronize_rcu_tasks()` waits for it unless it sleeps.
//!   It can sleep only while the built-in ops free a program in [`destroy`], and holds a reference
//!   there. Tests cannot show that the grace periods are needed, because freeing a module takes one,
//!   too.

use super::Unavailable;
use crate::abstractions::{
    bindings,
    compat::synchronize_rcu,
    kallsyms, //
};
use core::ptr;
use kernel::{
    pr_err_once,
    pr_info_once,
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

type Ops = bindings::lwtunnel_encap_ops;

/// The number of slots in the table.
const SLOTS: usize = bindings::lwtunnel_encap_types___LWTUNNEL_ENCAP_MAX as usize;

/// A bit of `lwtunnel_state.flags` that the core does not use. It is set in our states.
pub(super) const OURS: u16 = 1 << 15;

const _: () = assert!(
    OURS & (bindings::LWTUNNEL_STATE_INPUT_REDIRECT
        | bindings::LWTUNNEL_STATE_OUTPUT_REDIRECT
        | bindings::LWTUNNEL_STATE_XMIT_REDIRECT)
        == 0
);

/// The built-in ops whose slot was taken over, by slot; null where the slot was free.
static PREDECESSORS: [Atomic<*const Ops>; SLOTS] = [const { Atomic::new(ptr::null()) }; SLOTS];

/// The symbol name of the kernel's table of encapsulations, which no header declares.
const TABLE: &CStr = c"lwtun_encaps";

/// A slot that has our ops in place of the built-in ones, until the value is dropped.
///
/// # Invariants
///
/// `slot` contained `predecessor`, and was set to `ops`.
pub(super) struct Takeover {
    slot: &'static Atomic<*const Ops>,
    ops: &'static Ops,
    predecessor: *const Ops,
}

impl Takeover {
    /// Replaces the built-in ops, whose symbol name is `theirs`, by `ops`. Process context.
    ///
    /// # Safety
    ///
    /// The functions of `ops` check for [`OURS`]. For states without it they call the functions
    /// below, with the same `encap_type`.
    pub(super) unsafe fn new(
        ops: &'static Ops,
        encap_type: u32,
        theirs: &CStr,
    ) -> Result<Self, Unavailable> {
        let kept = PREDECESSORS
            .get(encap_type as usize)
            .ok_or(Unavailable::Error(ERANGE))?;
        let table = kallsyms::variable(TABLE).ok_or(Unavailable::Unknown)?;
        let slot = table
            .as_ptr()
            .cast::<*const Ops>()
            .wrapping_add(encap_type as usize);
        // If the kernel's table is shorter than our header says, another symbol is at this address.
        if !kallsyms::is_called(slot.cast(), TABLE) {
            return Err(Unavailable::Unknown);
        }
        // SAFETY: `slot` is in the kernel's table, as its symbol name shows, and the table is never
        // freed. All other accesses to the slot are of a whole pointer, too.
        let slot = unsafe { Atomic::from_ptr(slot) };

        let predecessor = slot.load(Relaxed);
        if !kallsyms::is_called(predecessor.cast(), theirs) {
            return Err(Unavailable::Foreign);
        }
        // SAFETY: `predecessor` is a variable of the kernel image, which is never freed. By its
        // name and by the slot that points to it, it is a `struct lwtunnel_encap_ops`.
        if !is_whole(unsafe { &*predecessor }) {
            return Err(Unavailable::Foreign);
        }
        kept.store(predecessor, Relaxed);
        // Code that finds our ops reads the slot after this grace period, and so sees the store
        // above.
        synchronize_rcu();
        slot.cmpxchg(predecessor, ops, Full)
            .map_err(|_| Unavailable::Foreign)?;
        // INVARIANT: By the `cmpxchg()` above.
        Ok(Self {
            slot,
            ops,
            predecessor,
        })
    }
}

/// Returns whether ops belong to no module and have all callbacks.
fn is_whole(ops: &Ops) -> bool {
    ops.owner.is_null()
        && ops.build_state.is_some()
        && ops.destroy_state.is_some()
        && ops.output.is_some()
        && ops.input.is_some()
        && ops.fill_encap.is_some()
        && ops.get_encap_size.is_some()
        && ops.cmp_encap.is_some()
        && ops.xmit.is_some()
}

impl Takeover {
    /// Waits until nobody holds a reference to the module, which is being unloaded, and nobody who
    /// has found our ops or the module alive can still take one. Process context.
    fn wait_for_references(&self) {
        synchronize_rcu();
        // SAFETY: An FFI call with no requirements but process context. The value can only be
        // created in process context, and is dropped there.
        unsafe { bindings::synchronize_rcu_tasks() };
        while self.is_referenced() {
            pr_info_once!("unloading waits for the last user of the module\n");
            fsleep(Delta::from_millis(20));
        }
    }

    /// Returns whether somebody holds a reference to the module, which is being unloaded.
    #[cfg(CONFIG_MODULE_UNLOAD)]
    fn is_referenced(&self) -> bool {
        // SAFETY: An FFI call with no requirements.
        let forced = unsafe { bindings::test_taint(bindings::TAINT_FORCED_RMMOD) } != 0;
        // The unload itself makes the count of an unused module -1, but 0 if it is forced. Once
        // another module was unloaded by force, one reference is not seen here.
        let unused = if forced { 0 } else { -1 };
        // SAFETY: Code of the module runs, so the owner of its ops is valid.
        unsafe { bindings::module_refcount(self.ops.owner) > unused }
    }

    /// Returns false: without `CONFIG_MODULE_UNLOAD` the module is never unloaded.
    #[cfg(not(CONFIG_MODULE_UNLOAD))]
    fn is_referenced(&self) -> bool {
        false
    }
}

impl Drop for Takeover {
    fn drop(&mut self) {
        // The built-in ops cannot use our states.
        self.wait_for_references();
        // A module that took the slot over from us calls our ops for our states, until it has given
        // the slot back.
        while self.slot.cmpxchg(self.ops, self.predecessor, Full).is_err() {
            pr_err_once!(
                "another module has taken the encapsulation over: this one stays until it has given \
                 it back\n"
            );
            fsleep(Delta::from_secs(1));
        }
        self.wait_for_references();
    }
}

/// Returns the built-in ops whose slot was taken over.
///
/// # Safety
///
/// A function of the ops that took the slot over found a state of `encap_type` without [`OURS`].
#[inline(always)]
unsafe fn predecessor(encap_type: u32) -> &'static Ops {
    // SAFETY: By the safety requirements of this function `encap_type` has a slot, and
    // `PREDECESSORS` has an element for each slot.
    let kept = unsafe { PREDECESSORS.get_unchecked(encap_type as usize) };
    // SAFETY: By the safety requirements of this function the slot was taken over. The built-in ops
    // were stored before that, and are never freed.
    unsafe { &*kept.load(Relaxed) }
}

/// Defines functions that call the callback of the same name in the built-in ops.
macro_rules! pass_on {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// As for [`predecessor`], and for the callback. The state is the one that was found
            /// without [`OURS`].
            #[cold]
            pub(super) unsafe fn $name(encap_type: u32, $($arg: $type),*) -> c_int {
                // SAFETY: By the safety requirements of this function.
                let ops = unsafe { predecessor(encap_type) };
                // SAFETY: The built-in ops had all callbacks when the slot was taken over, and are
                // constant.
                let callback = unsafe { ops.$name.unwrap_unchecked() };
                // SAFETY: By the safety requirements of this function.
                unsafe { callback($($arg),*) }
            }
        )*
    };
}

pass_on! {
    /// C: `input`.
    input(skb: *mut bindings::sk_buff);
    /// C: `output`.
    output(net: *mut bindings::net, sk: *mut bindings::sock, skb: *mut bindings::sk_buff);
    /// C: `xmit`.
    xmit(skb: *mut bindings::sk_buff);
    /// C: `fill_encap`.
    fill_encap(skb: *mut bindings::sk_buff, lws: *mut bindings::lwtunnel_state);
    /// C: `get_encap_size`.
    get_encap_size(lws: *mut bindings::lwtunnel_state);
    /// C: `cmp_encap`.
    cmp_encap(a: *mut bindings::lwtunnel_state, b: *mut bindings::lwtunnel_state);
}

/// C: `destroy_state`. Takes a reference to `module`, the owner of the ops that took the slot over,
/// because the core drops one after this function returns.
///
/// # Safety
///
/// As for [`predecessor`], and for the callback. `module` is the owner of our ops.
#[cold]
pub(super) unsafe fn destroy(
    encap_type: u32,
    lws: *mut bindings::lwtunnel_state,
    module: *mut bindings::module,
) {
    // SAFETY: The functions of the module run, so `module` is valid.
    unsafe { bindings::__module_get(module) };
    // SAFETY: By the safety requirements of this function.
    let ops = unsafe { predecessor(encap_type) };
    // SAFETY: The built-in ops had all callbacks when the slot was taken over, and are constant.
    let callback = unsafe { ops.destroy_state.unwrap_unchecked() };
    // SAFETY: By the safety requirements of this function.
    unsafe { callback(lws) };
}
