// SPDX-License-Identifier: GPL-2.0-only

//! What the kernel's networking code is synchronised by.

pub(crate) mod bh_lock;
pub(crate) mod bottom_half;
pub(crate) mod lazy;
pub(crate) mod percpu;
pub(crate) mod rcu;
pub(crate) mod refcount;
pub(crate) mod rtnl;
