// SPDX-License-Identifier: GPL-2.0-only

//! BPF lightweight tunnel encapsulation and BPF traffic classifier.
//!
//! C versions: `net/core/lwt_bpf.c`, `net/sched/cls_bpf.c`.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod abstractions;
mod cls;
mod entries;
mod lwt;
mod name;

use abstractions::{
    bpf::push_encap,
    compat::{
        flag,
        module, //
    },
    net::{
        lwtunnel,
        pkt_cls, //
    },
    str::SharedCStr, //
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

/// The registrations of the encapsulation: its debugfs files, the encapsulation itself, and the
/// helper that its programs call. Unregistered in the order of the fields.
struct Encapsulation {
    _files: lwtunnel::DebugfsDir<BpfEncap>,
    _encap: lwtunnel::Registration<BpfEncap>,
    _helper: Option<push_encap::Helper>,
}

impl Encapsulation {
    /// Registers the encapsulation. If its slot is unavailable, logs a warning and returns `None`:
    /// the module is then the classifier only, and does not try again.
    ///
    /// If only the helper cannot be registered, logs a warning and continues without it.
    fn register() -> Option<Self> {
        SharedCStr::init();
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
                // A kernel with its own encapsulation (CONFIG_LWTUNNEL_BPF) can push headers, too.
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
            _files: lwt::create_files::<LwtCls>(&encap),
            _encap: encap,
            _helper: helper,
        })
    }
}

/// The registrations of the module. Unregistered in the order of the fields.
struct LwtCls {
    _encap: Option<Encapsulation>,
    _classifier: pkt_cls::Registration<BpfClassifier>,
}

impl kernel::Module for LwtCls {
    // Once the classifier is registered, init must not fail: requests may take references to the
    // module from then on, and a failed init frees the module regardless of references.
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // For the module loader EEXIST means that the module is loaded already: return EBUSY
        // instead.
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
