// SPDX-License-Identifier: GPL-2.0-only

//! BPF traffic classifier.

#![deny(unsafe_code)]

mod cls;
mod entries;

use cls::BpfClassifier;
use kernel::{
    net::pkt_cls,
    prelude::*, //
};

module! {
    type: ClsBpf,
    name: "cls_bpf_rust",
    authors: ["The lwtcls developers"],
    description: "bpf traffic classifier",
    license: "GPL v2",
    alias: ["net-cls-bpf"],
}

struct ClsBpf {
    _classifier: pkt_cls::Registration<BpfClassifier>,
}

impl kernel::Module for ClsBpf {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _classifier: pkt_cls::Registration::new()?,
        })
    }
}
