// SPDX-License-Identifier: GPL-2.0-only

//! BPF on routes and in traffic control, in Rust.
//!
//! Registers the `bpf` lightweight-tunnel encapsulation and the `bpf` classifier.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod abstractions;
mod cls;
mod lwt;
mod name;

use abstractions::net::{
    lwtunnel,
    pkt_cls, //
};
use cls::BpfClassifier;
use kernel::prelude::*;
use lwt::BpfEncap;

module! {
    type: LwtCls,
    name: "lwtcls",
    authors: ["The lwtcls developers"],
    description: "bpf encapsulation of routes and bpf traffic classifier",
    license: "GPL v2",
    alias: ["net-cls-bpf", "rtnl-lwt-BPF"],
    params: {
        cls_only: bool {
            default: false,
            description: "register the classifier alone, and leave encapsulation to the kernel",
        },
    },
}

/// Unregistered in the order of the fields.
struct LwtCls {
    _encap: Option<lwtunnel::Registration<BpfEncap>>,
    _classifier: pkt_cls::Registration<BpfClassifier>,
}

impl kernel::Module for LwtCls {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // EEXIST is the module loader's own word, for a module that is loaded already.
        let classifier = pkt_cls::Registration::new::<Self>().map_err(|error| {
            if error == EEXIST {
                pr_err!("the classifier 'bpf' is taken: unload cls_bpf first\n");
                EBUSY
            } else {
                pr_err!("cannot register the classifier 'bpf': {error:?}\n");
                error
            }
        })?;
        let encap = if *module_parameters::cls_only.value_ref() {
            None
        } else {
            Some(lwtunnel::Registration::new::<Self>().map_err(|error| {
                if error == EEXIST {
                    pr_err!(
                        "the encapsulation 'bpf' is taken (CONFIG_LWTUNNEL_BPF=y?): \
                         load with cls_only=1 for the classifier alone\n"
                    );
                    EBUSY
                } else {
                    pr_err!("cannot register the encapsulation 'bpf': {error:?}\n");
                    error
                }
            })?)
        };
        Ok(Self {
            _encap: encap,
            _classifier: classifier,
        })
    }
}
