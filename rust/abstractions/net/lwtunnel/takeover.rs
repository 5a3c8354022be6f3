// SPDX-License-Identifier: GPL-2.0-only

//! A slot of the kernel's table of encapsulations that the kernel's own has from boot on.
//!
//! The core can register a table of callbacks and unregister it, but not put one in the place of
//! another: between the two the slot would be empty for a grace period, and the core follows it
//! without a look where it frees a tunnel state. So the slot is changed from one table to the other
//! by one atomic operation, and back.
//!
//! States that the predecessor has built live on. The core asks our table about them, which passes
//! all of it on to the predecessor's. These are the rules by which both live together:
//!
//! - *Whose a state is* says a bit in it, which ours have: [`OURS`].
//! - *The predecessor* is a part of the kernel and never goes. Who sees our table sees the
//!   predecessor, too: it is stored before, and a grace period lies between.
//! - *References to our module.* A state of ours holds one, which the core takes when it is built
//!   and gives back when it is freed. One of the predecessor's has none, but the core goes by the
//!   table that it finds when it frees the state: it gives back one of ours. So
//!   [`destroy`] takes one.
//! - *We go* after the predecessor has its slot again, and nobody can be in our table's functions any
//!   more: neither a packet, which is in an RCU read side, nor who frees a state of the predecessor's.
//!   That is mostly done in softirq, which is like one; but a request that fails frees what it has
//!   built, and with `PREEMPT_RT` a softirq is a thread. These may be preempted, but do not sleep from
//!   the look at the slot on until they have their reference to our module. No test sees it if neither
//!   is waited for: to free a module takes a grace period, too.

use super::Unavailable;
use crate::abstractions::{
    bindings,
    compat::synchronize_rcu,
    kallsyms, //
};
use core::ptr;
use kernel::{
    pr_err_once,
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

/// How many slots the table has.
const SLOTS: usize = bindings::lwtunnel_encap_types___LWTUNNEL_ENCAP_MAX as usize;

/// A bit of `lwtunnel_state.flags` that the core leaves alone.
pub(super) const OURS: u16 = 1 << 15;

const _: () = assert!(
    OURS & (bindings::LWTUNNEL_STATE_INPUT_REDIRECT
        | bindings::LWTUNNEL_STATE_OUTPUT_REDIRECT
        | bindings::LWTUNNEL_STATE_XMIT_REDIRECT)
        == 0
);

/// Whom each slot was taken over from; null where it was free.
static PREDECESSORS: [Atomic<*const Ops>; SLOTS] = [const { Atomic::new(ptr::null()) }; SLOTS];

/// The kernel's name of its table of encapsulations, which no header declares.
const TABLE: &CStr = c"lwtun_encaps";

/// A slot that has our table in place of the predecessor's, until it is dropped.
///
/// # Invariants
///
/// `slot` had the predecessor's table, and got `ops`.
pub(super) struct Takeover {
    slot: &'static Atomic<*const Ops>,
    ops: &'static Ops,
    predecessor: *const Ops,
}

impl Takeover {
    /// Puts `ops` in the place of the kernel's own table of the name `theirs`. Process context.
    ///
    /// # Safety
    ///
    /// The functions of `ops` tell by [`OURS`] whose a state is, and pass what is not theirs on to the
    /// functions below, for the same `encap_type`.
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
        // A table that is shorter than our header says would have something else there.
        if !kallsyms::is_called(slot.cast(), TABLE) {
            return Err(Unavailable::Unknown);
        }
        // SAFETY: A slot of the kernel's table, by its name, which is there for ever. All others
        // access it by whole pointers, too.
        let slot = unsafe { Atomic::from_ptr(slot) };

        let predecessor = slot.load(Relaxed);
        if !kallsyms::is_called(predecessor.cast(), theirs) {
            return Err(Unavailable::Foreign);
        }
        // SAFETY: A variable of the kernel itself, which is there for ever, and which by its name and
        // place is a table of callbacks.
        if !is_whole(unsafe { &*predecessor }) {
            return Err(Unavailable::Foreign);
        }
        kept.store(predecessor, Relaxed);
        // Who finds our table looks at the slot after this, and so sees the line above.
        synchronize_rcu();
        slot.cmpxchg(predecessor, ops, Full)
            .map_err(|_| Unavailable::Foreign)?;
        // INVARIANT: By the line above.
        Ok(Self {
            slot,
            ops,
            predecessor,
        })
    }
}

/// Whether a table belongs to no module and lacks no function.
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

impl Drop for Takeover {
    fn drop(&mut self) {
        // Who has taken the slot over from us passes on to us what is ours, and may do so until it
        // has given the slot back.
        while self.slot.cmpxchg(self.ops, self.predecessor, Full).is_err() {
            pr_err_once!(
                "another module has taken the encapsulation over: this one stays until it has given \
                 it back\n"
            );
            fsleep(Delta::from_secs(1));
        }
        synchronize_rcu();
        // SAFETY: An FFI call with no requirements but process context, where a value is dropped that
        // could only be made there.
        unsafe { bindings::synchronize_rcu_tasks() };
    }
}

/// The table of whom the slot was taken over from.
///
/// # Safety
///
/// A state of `encap_type` was found without [`OURS`] by a function of the table that took the slot
/// over.
#[inline(always)]
unsafe fn predecessor(encap_type: u32) -> &'static Ops {
    // SAFETY: By the safety requirements of this function the slot was taken over, before which the
    // table was stored; it is there for ever. There are as many as slots.
    unsafe {
        &*PREDECESSORS
            .get_unchecked(encap_type as usize)
            .load(Relaxed)
    }
}

/// Defines functions that call the predecessor's of the same name.
macro_rules! pass_on {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// As for [`predecessor`], and for the callback; the state is the one that was found so.
            #[cold]
            pub(super) unsafe fn $name(encap_type: u32, $($arg: $type),*) -> c_int {
                // SAFETY: By the safety requirements of this function. The table was whole when the
                // slot was taken over, and is constant.
                unsafe { predecessor(encap_type).$name.unwrap_unchecked()($($arg),*) }
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

/// C: `destroy_state`. Takes a reference to `module`, the owner of the table that took the slot over:
/// the core gives one back when this has returned.
///
/// # Safety
///
/// As for [`predecessor`], and for the callback. `module` is that of our table.
#[cold]
pub(super) unsafe fn destroy(
    encap_type: u32,
    lws: *mut bindings::lwtunnel_state,
    module: *mut bindings::module,
) {
    // SAFETY: By the safety requirements of this function. The module's functions run, so it is there.
    // The table was whole when the slot was taken over, and is constant.
    unsafe {
        bindings::__module_get(module);
        predecessor(encap_type).destroy_state.unwrap_unchecked()(lws);
    }
}
