// SPDX-License-Identifier: GPL-2.0-only

//! BPF on routes and in traffic control, in Rust.
//!
//! Registers the `bpf` lightweight-tunnel encapsulation and the `bpf` classifier.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod abstractions;
mod cls;
mod entries;
mod lwt;
mod name;

use abstractions::{
    bpf::{
        self,
        push_encap, //
    },
    compat::{
        flag,
        module, //
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
        takeover: bool {
            default: true,
            description: "take encapsulation over from the kernel's own, until the module is unloaded",
        },
    },
}

/// The encapsulation, what its programs call, and what tells of them. Unregistered in the order of the
/// fields.
struct Encapsulation {
    _files: lwtunnel::Directory<BpfEncap>,
    _encap: lwtunnel::Registration<BpfEncap>,
    _helper: Option<push_encap::Helper>,
}

impl Encapsulation {
    /// `None`, and a line in the log, if the name is another's, and stays so.
    fn register() -> Option<Self> {
        bpf::name::init();
        let takeover = flag(&module_parameters::takeover);
        let encap = lwtunnel::Registration::new(takeover)
            .inspect_err(|why| {
                pr_warn!(
                    "classifier only: no encapsulation 'bpf' for routes: {}\n",
                    why
                );
            })
            .ok()?;
        if encap.is_takeover() {
            pr_info!("encapsulation 'bpf' taken over from the kernel's own\n");
        }
        let helper = push_encap::Helper::register::<BpfEncap>()
            .inspect_err(|error| {
                // A kernel whose own encapsulation was there has code that pushes headers, too.
                let instead = if encap.is_takeover() {
                    "the kernel's own code pushes headers"
                } else {
                    "programs cannot push headers"
                };
                pr_warn!(
                    "{}: cannot attach to bpf_lwt_push_encap() through ftrace (error {})\n",
                    instead,
                    error.to_errno()
                );
            })
            .ok();
        Some(Self {
            _files: lwt::files::<LwtCls>(&encap),
            _encap: encap,
            _helper: helper,
        })
    }
}

/// Unregistered in the order of the fields.
struct LwtCls {
    _encap: Option<Encapsulation>,
    _classifier: pkt_cls::Registration<BpfClassifier>,
}

impl kernel::Module for LwtCls {
    // Requests find the classifier as soon as it is registered, and hold the module. A module whose
    // initialisation fails is freed whoever holds it. So nothing may fail from there on.
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // EEXIST is the module loader's own word, for a module that is loaded already.
        let classifier = pkt_cls::Registration::new().map_err(|error| {
            if error == EEXIST {
                pr_err!("the classifier 'bpf' is taken: unload cls_bpf first\n");
                EBUSY
            } else {
                pr_err!(
                    "cannot register the classifier 'bpf' (error {})\n",
                    error.to_errno()
                );
                error
            }
        })?;
        let encap = if flag(&module_parameters::cls_only) {
            None
        } else {
            Encapsulation::register()
        };
        Ok(Self {
            _encap: encap,
            _classifier: classifier,
        })
    }
}
