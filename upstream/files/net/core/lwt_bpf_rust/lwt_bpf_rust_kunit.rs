// SPDX-License-Identifier: GPL-2.0-only

//! The KUnit suites of the bpf encapsulation, built from its sources, without the registration.

#![deny(unsafe_code)]
// Items that only the registration uses.
#![allow(dead_code, unused_imports, unused_macros)]

mod lwt;
#[allow(unsafe_code)]
mod trace;

#[path = "suites/netlink.rs"]
mod netlink;
#[path = "suites/percpu.rs"]
mod percpu;
#[path = "suites/sharing.rs"]
mod sharing;
#[path = "suites/skbuff.rs"]
mod skbuff;

use kernel::{
    prelude::*,
    sync::rcu::rcu_barrier, //
};

module! {
    type: LwtBpfKunit,
    name: "lwt_bpf_rust_kunit",
    authors: ["The lwtcls developers"],
    description: "KUnit suites of the bpf encapsulation",
    license: "GPL v2",
}

struct LwtBpfKunit;

impl kernel::Module for LwtBpfKunit {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

impl Drop for LwtBpfKunit {
    fn drop(&mut self) {
        // Pending RCU callbacks are functions of this module.
        rcu_barrier();
    }
}
