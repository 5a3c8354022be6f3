// SPDX-License-Identifier: GPL-2.0-only

//! The table of callbacks (`struct tcf_proto_ops`) of a [`Classifier`].

use super::Classifier;
use crate::abstractions::bindings;
use kernel::prelude::*;

/// A classifier with a table of callbacks. [`classifier_ops!`] implements it.
///
/// # Safety
///
/// The table is complete, except for [`kind`]. Each of its functions does what the function of the
/// same name in [`Adapter`](super::Adapter) does.
pub(crate) unsafe trait Ops: Classifier {
    /// The table of callbacks.
    const OPS: bindings::tcf_proto_ops;
}

/// The C types that [`classifier_ops!`] uses.
pub(crate) mod raw {
    pub(crate) use crate::abstractions::bindings::{
        flow_setup_cb_t as Callback,
        net,
        netlink_ext_ack,
        nlattr,
        sk_buff,
        tcf_proto,
        tcf_proto_ops,
        tcf_proto_ops_flags_TCF_PROTO_OPS_DOIT_UNLOCKED as DOIT_UNLOCKED,
        tcf_result,
        tcf_walker,
        tcmsg, //
    };
}

/// Defines the table of callbacks of a classifier, for a module. The callbacks are C functions. The
/// macro also defines the Rust functions that they call.
macro_rules! classifier_ops {
    (
        $classifier:ty, $module:ty;
        classify: $classify:ident => $rust_classify:ident,
        init: $init:ident => $rust_init:ident,
        destroy: $destroy:ident => $rust_destroy:ident,
        get: $get:ident => $rust_get:ident,
        put: $put:ident => $rust_put:ident,
        change: $change:ident => $rust_change:ident,
        delete: $delete:ident => $rust_delete:ident,
        delete_empty: $delete_empty:ident => $rust_delete_empty:ident,
        walk: $walk:ident => $rust_walk:ident,
        reoffload: $reoffload:ident => $rust_reoffload:ident,
        bind_class: $bind_class:ident => $rust_bind_class:ident,
        dump: $dump:ident => $rust_dump:ident,
        terse_dump: $terse_dump:ident => $rust_terse_dump:ident $(,)?
    ) => {
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::abstractions::{
                compat::this_module,
                entries::entries,
                net::pkt_cls::{
                    raw,
                    Adapter,
                    Ops, //
                }, //
            };
            use ::kernel::prelude::*;

            entries! {
                Adapter<$classifier>:
                $classify => $rust_classify: classify(skb: *mut raw::sk_buff, tp: *const raw::tcf_proto, res: *mut raw::tcf_result) -> c_int;
                $init => $rust_init: init(tp: *mut raw::tcf_proto) -> c_int;
                $destroy => $rust_destroy: destroy(tp: *mut raw::tcf_proto, rtnl_held: bool, extack: *mut raw::netlink_ext_ack);
                $get => $rust_get: get(tp: *mut raw::tcf_proto, handle: u32) -> *mut c_void;
                $put => $rust_put: put(tp: *mut raw::tcf_proto, filter: *mut c_void);
                $change => $rust_change: change(net: *mut raw::net, in_skb: *mut raw::sk_buff, tp: *mut raw::tcf_proto, base: c_ulong, handle: u32, tca: *mut *mut raw::nlattr, arg: *mut *mut c_void, flags: u32, extack: *mut raw::netlink_ext_ack) -> c_int;
                $delete => $rust_delete: delete(tp: *mut raw::tcf_proto, filter: *mut c_void, last: *mut bool, rtnl_held: bool, extack: *mut raw::netlink_ext_ack) -> c_int;
                $delete_empty => $rust_delete_empty: delete_empty(tp: *mut raw::tcf_proto) -> bool;
                $walk => $rust_walk: walk(tp: *mut raw::tcf_proto, walker: *mut raw::tcf_walker, rtnl_held: bool);
                $reoffload => $rust_reoffload: reoffload(tp: *mut raw::tcf_proto, add: bool, cb: raw::Callback, cb_priv: *mut c_void, extack: *mut raw::netlink_ext_ack) -> c_int;
                $bind_class => $rust_bind_class: bind_class(filter: *mut c_void, classid: u32, class: c_ulong, qdisc: *mut c_void, base: c_ulong);
                $dump => $rust_dump: dump(net: *mut raw::net, tp: *mut raw::tcf_proto, filter: *mut c_void, skb: *mut raw::sk_buff, tcm: *mut raw::tcmsg, rtnl_held: bool) -> c_int;
                $terse_dump => $rust_terse_dump: terse_dump(net: *mut raw::net, tp: *mut raw::tcf_proto, filter: *mut c_void, skb: *mut raw::sk_buff, tcm: *mut raw::tcmsg, rtnl_held: bool) -> c_int;
            }

            // SAFETY: The module defines the C functions, such that each calls the Rust function
            // that is defined for it above. The C compiler checks their types.
            unsafe impl Ops for $classifier {
                const OPS: raw::tcf_proto_ops = raw::tcf_proto_ops {
                    classify: Some($classify),
                    init: Some($init),
                    destroy: Some($destroy),
                    get: Some($get),
                    put: Some($put),
                    change: Some($change),
                    delete: Some($delete),
                    delete_empty: Some($delete_empty),
                    walk: Some($walk),
                    reoffload: Some($reoffload),
                    bind_class: Some($bind_class),
                    dump: Some($dump),
                    terse_dump: Some($terse_dump),
                    owner: this_module::<$module>().as_ptr().cast(),
                    flags: raw::DOIT_UNLOCKED as c_int,
                    // SAFETY: Fields that are not set are null, and the core sets the list links.
                    ..unsafe { ::core::mem::zeroed() }
                };
            }
        };
    };
}
pub(crate) use classifier_ops;

/// Converts the name of a kind to the array in `struct tcf_proto_ops`.
pub(super) const fn kind(name: &CStr) -> [c_char; 16] {
    let name = name.to_bytes_with_nul();
    let mut kind = [0; 16];
    let mut i = 0;
    while i < name.len() {
        kind[i] = name[i];
        i += 1;
    }
    kind
}
