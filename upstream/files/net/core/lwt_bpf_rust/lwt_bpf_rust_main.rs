// SPDX-License-Identifier: GPL-2.0-only

//! BPF programs on routes.

#![deny(unsafe_code)]

mod entries;
mod lwt;
#[allow(unsafe_code)]
mod trace;

use kernel::{
    bpf::push_encap,
    net::lwtunnel,
    prelude::*,
    str::SharedCStr, //
};
use lwt::BpfEncap;

module! {
    type: LwtBpf,
    name: "lwt_bpf_rust",
    authors: ["The lwtcls developers"],
    description: "bpf encapsulation of routes",
    license: "GPL v2",
    alias: ["rtnl-lwt-BPF"],
}

/// The registrations of the module. Unregistered in the order of the fields.
struct LwtBpf {
    _files: lwtunnel::DebugfsDir<BpfEncap>,
    _encap: lwtunnel::Registration<BpfEncap>,
    _helper: push_encap::Helper,
}

impl kernel::Module for LwtBpf {
    // Once the encapsulation is registered, init must not fail: requests may take references to
    // the module from then on.
    fn init(_module: &'static ThisModule) -> Result<Self> {
        SharedCStr::init();
        let helper = push_encap::Helper::register::<BpfEncap>()?;
        let encap = lwtunnel::Registration::new()?;
        Ok(Self {
            _files: lwt::create_files::<Self>(&encap),
            _encap: encap,
            _helper: helper,
        })
    }
}
