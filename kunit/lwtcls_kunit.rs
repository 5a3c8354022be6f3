// SPDX-License-Identifier: GPL-2.0-only

//! The KUnit suites of lwtcls. Built from the sources of lwtcls, without the registration.
//!
//! A suite is a child of the module that it tests, so that it can access private items.

#![deny(unsafe_code)]
// Items that only the registration uses.
#![allow(dead_code, unused_imports, unused_macros)]

#[allow(unsafe_code)]
#[path = "../rust/abstractions/mod.rs"]
mod abstractions;
#[path = "../rust/cls/mod.rs"]
mod cls;
#[path = "../rust/lwt/mod.rs"]
mod lwt;
#[path = "../rust/name.rs"]
mod name;

mod netlink;
mod percpu;
mod sharing;
mod skbuff;

use kernel::prelude::*;

module! {
    type: LwtClsKunit,
    name: "lwtcls_kunit",
    authors: ["The lwtcls developers"],
    description: "KUnit suites of lwtcls",
    license: "GPL v2",
}

struct LwtClsKunit;

impl kernel::Module for LwtClsKunit {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

impl Drop for LwtClsKunit {
    fn drop(&mut self) {
        // Pending RCU callbacks are functions of this module.
        abstractions::compat::rcu_barrier();
    }
}
