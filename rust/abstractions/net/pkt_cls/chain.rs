// SPDX-License-Identifier: GPL-2.0-only

//! The context of a filter request: its flags, the filters of its chain, and the qdisc.
//!
//! C headers: [`include/net/sch_generic.h`](srctree/include/net/sch_generic.h),
//! [`include/uapi/linux/rtnetlink.h`](srctree/include/uapi/linux/rtnetlink.h)

use super::{
    filter::Filter,
    table::FilterTable,
    Classifier,
    RequestFlags,
    TcfProto, //
};
use crate::abstractions::{
    bindings,
    sync::{
        rcu::{
            self,
            ReadSide, //
        },
        rtnl::Rtnl, //
    }, //
};
use kernel::{
    prelude::*,
    ptr::project, //
};

impl RequestFlags {
    /// # Safety
    ///
    /// `skb` begins with a filter request whose length the core has checked.
    pub(super) unsafe fn of(skb: *const bindings::sk_buff) -> Self {
        // SAFETY: By the safety requirements of this function.
        let header = unsafe { (*skb).data }.cast::<bindings::nlmsghdr>();
        // SAFETY: By the safety requirements of this function.
        let flags = unsafe { (*header).nlmsg_flags };
        let body = header.wrapping_add(1).cast::<bindings::tcmsg>();
        // SAFETY: In all filter requests a `tcmsg` follows the netlink header.
        let info = unsafe { (*body).tcm_info };
        Self {
            excl: u32::from(flags) & bindings::NLM_F_EXCL != 0,
            has_prio: info & bindings::TC_H_MAJ_MASK != 0,
        }
    }
}

/// Calls `f` in an RCU read side. `f` must not sleep.
fn read(f: impl FnOnce(&ReadSide<'_>) -> bool) -> bool {
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: The guard outlives the call.
    f(&unsafe { ReadSide::assume() })
}

/// Returns the callbacks and the protocol of a tcf_proto, which do not change.
///
/// # Safety
///
/// `tp` is valid.
unsafe fn kind_of(tp: *const bindings::tcf_proto) -> (*const bindings::tcf_proto_ops, u16) {
    // SAFETY: By the safety requirements of this function.
    let ops = unsafe { (*tp).ops };
    // SAFETY: By the safety requirements of this function.
    let protocol = unsafe { (*tp).protocol };
    (ops, protocol)
}

impl<T: Classifier> TcfProto<'_, T> {
    /// Returns whether `f` holds for one of the newest `most` filters of the tcf_proto. `f` must
    /// not sleep.
    pub(crate) fn any(&self, most: usize, f: impl FnMut(&Filter<T>) -> bool) -> bool {
        read(|rcu| self.filters().iter(rcu).take(most).any(f))
    }

    /// Returns whether `f` holds for a filter of the same chain, classifier and protocol. Looks at
    /// the first `most` tcf_protos of the chain, and at the newest `most` filters of each. `f` must
    /// not sleep.
    pub(crate) fn any_of_chain(&self, most: usize, mut f: impl FnMut(&Filter<T>) -> bool) -> bool {
        // SAFETY: The tcf_proto is valid by the type invariant.
        let own_kind = unsafe { kind_of(self.as_ptr()) };
        read(|rcu| {
            let first = project!(self.chain(), .filter_chain);
            // SAFETY: The chain is valid as long as the tcf_proto. Its list is published through
            // RCU.
            let mut at = unsafe { rcu::dereference(first) };
            for _ in 0..most {
                if at.is_null() {
                    break;
                }
                // SAFETY: The tcf_protos in the list are valid for the RCU read side.
                if unsafe { kind_of(at) } == own_kind {
                    // SAFETY: The root of a tcf_proto with our callbacks is published through RCU
                    // before the tcf_proto is in the list, until a grace period after it was
                    // removed.
                    let filters = unsafe { FilterTable::<T>::of(at) };
                    if filters.iter(rcu).take(most).any(&mut f) {
                        return true;
                    }
                }
                let next = project!(at, .next);
                // SAFETY: The tcf_protos in the list are valid for the RCU read side. The list is
                // published through RCU.
                at = unsafe { rcu::dereference(next) };
            }
            false
        })
    }

    /// Returns whether this tcf_proto is the last one of its chain.
    pub(crate) fn is_last_of_chain(&self) -> bool {
        let next = project!(self.as_ptr(), .next);
        // SAFETY: The tcf_proto is valid. The pointer that is read is not dereferenced.
        unsafe { rcu::dereference(next) }.is_null()
    }

    /// Returns whether the filters belong to a single qdisc, which is of one of these kinds.
    pub(crate) fn is_in_qdisc(&self, _rtnl: &Rtnl, kinds: &[&CStr]) -> bool {
        if self.is_shared() {
            return false;
        }
        // SAFETY: A block that is not shared has a qdisc, which stays while RTNL is held.
        let ops = unsafe { (*self.qdisc()).ops };
        // SAFETY: The ops of a qdisc, and so their name, stay as long as the qdisc.
        let name = unsafe { &(*ops).id };
        CStr::from_bytes_until_nul(name).is_ok_and(|name| kinds.contains(&name))
    }
}
