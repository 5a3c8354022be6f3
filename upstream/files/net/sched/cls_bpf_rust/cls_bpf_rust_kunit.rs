// SPDX-License-Identifier: GPL-2.0-only

//! The KUnit suites of the bpf classifier, built from its sources, without the registration.

#![deny(unsafe_code)]
// Items that only the registration uses.
#![allow(dead_code, unused_imports, unused_macros)]

mod cls;

use kernel::{
    prelude::*,
    sync::rcu::rcu_barrier, //
};

module! {
    type: ClsBpfKunit,
    name: "cls_bpf_rust_kunit",
    authors: ["The lwtcls developers"],
    description: "KUnit suites of the bpf classifier",
    license: "GPL v2",
}

struct ClsBpfKunit;

impl kernel::Module for ClsBpfKunit {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

impl Drop for ClsBpfKunit {
    fn drop(&mut self) {
        // Pending RCU callbacks are functions of this module.
        rcu_barrier();
    }
}
