// SPDX-License-Identifier: GPL-2.0-only

//! Synchronisation primitives of the networking code.

pub(crate) mod bh_lock;
pub(crate) mod bottom_half;
pub(crate) mod once_box;
pub(crate) mod percpu;
pub(crate) mod rcu;
pub(crate) mod refcount;
pub(crate) mod rtnl;
