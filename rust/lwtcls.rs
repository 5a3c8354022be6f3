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

use abstractions::{
    bpf::push_encap::{
        self,
        stock_push_encap, //
    },
    net::{
        lwtunnel,
        pkt_cls, //
    },
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

stock_push_encap!(BpfEncap);

/// The encapsulation, and what its programs call. Unregistered in the order of the fields.
struct Encapsulation {
    _encap: lwtunnel::Registration<BpfEncap>,
    _helper: Option<push_encap::Helper>,
    _kfunc: Option<push_encap::Kfunc>,
}

impl Encapsulation {
    fn register() -> Result<Self> {
        let encap = lwtunnel::Registration::new::<LwtCls>().map_err(|error| {
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
        })?;
        // Routes without programs that push are of use without these.
        let helper = push_encap::Helper::register().inspect_err(|error| {
            pr_warn!(
                "bpf_lwt_push_encap() refuses BPF_LWT_ENCAP_IP, for ftrace does not give us the \
                 helper (error {}); bpf_lwtcls_push_ip_encap() does the same\n",
                error.to_errno()
            );
        });
        let kfunc = push_encap::Kfunc::register().inspect_err(|error| {
            pr_warn!(
                "there is no bpf_lwtcls_push_ip_encap() for programs (error {})\n",
                error.to_errno()
            );
        });
        Ok(Self {
            _encap: encap,
            _helper: helper.ok(),
            _kfunc: kfunc.ok(),
        })
    }
}

/// Unregistered in the order of the fields.
struct LwtCls {
    _encap: Option<Encapsulation>,
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
            Some(Encapsulation::register()?)
        };
        Ok(Self {
            _encap: encap,
            _classifier: classifier,
        })
    }
}
