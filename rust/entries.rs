// SPDX-License-Identifier: GPL-2.0-only

//! Symbols of the callbacks.
//!
//! On the left the C functions (`rust/stubs/entries.c`), which have the names of the C
//! implementations with the prefix `lwtcls_`. On the right the Rust functions that they call.

use crate::{
    abstractions::{
        bpf::push_encap::push_encap_entries,
        net::{
            lwtunnel::encap_ops,
            pkt_cls::classifier_ops, //
        }, //
    },
    cls::BpfClassifier,
    lwt::BpfEncap,
    LwtCls, //
};

encap_ops! {
    BpfEncap, LwtCls;
    build_state: lwtcls_bpf_build_state => lwtcls_rust_bpf_build_state,
    destroy_state: lwtcls_bpf_destroy_state => lwtcls_rust_bpf_destroy_state,
    input: lwtcls_bpf_input => lwtcls_rust_bpf_input,
    output: lwtcls_bpf_output => lwtcls_rust_bpf_output,
    xmit: lwtcls_bpf_xmit => lwtcls_rust_bpf_xmit,
    fill_encap: lwtcls_bpf_fill_encap_info => lwtcls_rust_bpf_fill_encap_info,
    get_encap_size: lwtcls_bpf_encap_nlsize => lwtcls_rust_bpf_encap_nlsize,
    cmp_encap: lwtcls_bpf_encap_cmp => lwtcls_rust_bpf_encap_cmp,
}

// push_encap_entry.S has the entries.
push_encap_entries!(BpfEncap);

classifier_ops! {
    BpfClassifier, LwtCls;
    classify: lwtcls_cls_bpf_classify => lwtcls_rust_cls_bpf_classify,
    init: lwtcls_cls_bpf_init => lwtcls_rust_cls_bpf_init,
    destroy: lwtcls_cls_bpf_destroy => lwtcls_rust_cls_bpf_destroy,
    get: lwtcls_cls_bpf_get => lwtcls_rust_cls_bpf_get,
    put: lwtcls_cls_bpf_put => lwtcls_rust_cls_bpf_put,
    change: lwtcls_cls_bpf_change => lwtcls_rust_cls_bpf_change,
    delete: lwtcls_cls_bpf_delete => lwtcls_rust_cls_bpf_delete,
    delete_empty: lwtcls_cls_bpf_delete_empty => lwtcls_rust_cls_bpf_delete_empty,
    walk: lwtcls_cls_bpf_walk => lwtcls_rust_cls_bpf_walk,
    reoffload: lwtcls_cls_bpf_reoffload => lwtcls_rust_cls_bpf_reoffload,
    bind_class: lwtcls_cls_bpf_bind_class => lwtcls_rust_cls_bpf_bind_class,
    dump: lwtcls_cls_bpf_dump => lwtcls_rust_cls_bpf_dump,
    terse_dump: lwtcls_cls_bpf_terse_dump => lwtcls_rust_cls_bpf_terse_dump,
}
