// SPDX-License-Identifier: GPL-2.0-only

//! The table of callbacks (`struct lwtunnel_encap_ops`) of an [`Encap`].

use super::Encap;
use crate::abstractions::bindings;

/// An encapsulation with a table of callbacks. [`encap_ops!`] implements it.
///
/// # Safety
///
/// The table is complete, and each of its functions does what the function of the same name in
/// [`Adapter`](super::Adapter) does.
pub(crate) unsafe trait Ops: Encap {
    /// The table of callbacks.
    const OPS: &'static bindings::lwtunnel_encap_ops;
}

/// The C types that [`encap_ops!`] uses.
pub(crate) mod raw {
    pub(crate) use crate::abstractions::bindings::{
        lwtunnel_encap_ops,
        lwtunnel_state,
        net,
        netlink_ext_ack,
        nlattr,
        sk_buff,
        sock, //
    };
}

/// Defines the table of callbacks of an encapsulation, for a module. The callbacks are C functions.
/// The macro also defines the Rust functions that they call.
macro_rules! encap_ops {
    (
        $encap:ty, $module:ty;
        build_state: $build_state:ident => $rust_build_state:ident,
        destroy_state: $destroy_state:ident => $rust_destroy_state:ident,
        input: $input:ident => $rust_input:ident,
        output: $output:ident => $rust_output:ident,
        xmit: $xmit:ident => $rust_xmit:ident,
        fill_encap: $fill_encap:ident => $rust_fill_encap:ident,
        get_encap_size: $get_encap_size:ident => $rust_get_encap_size:ident,
        cmp_encap: $cmp_encap:ident => $rust_cmp_encap:ident $(,)?
    ) => {
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::abstractions::{
                compat::this_module,
                entries::entries,
                net::lwtunnel::{
                    raw,
                    Adapter,
                    Ops, //
                }, //
            };
            use ::kernel::prelude::*;

            entries! {
                Adapter<$encap>:
                $build_state => $rust_build_state: build_state(net: *mut raw::net, encap: *mut raw::nlattr, family: c_uint, cfg: *const c_void, ts: *mut *mut raw::lwtunnel_state, extack: *mut raw::netlink_ext_ack) -> c_int;
                $destroy_state => $rust_destroy_state: destroy_state(lws: *mut raw::lwtunnel_state);
                $input => $rust_input: input(skb: *mut raw::sk_buff) -> c_int;
                $output => $rust_output: output(net: *mut raw::net, sk: *mut raw::sock, skb: *mut raw::sk_buff) -> c_int;
                $xmit => $rust_xmit: xmit(skb: *mut raw::sk_buff) -> c_int;
                $fill_encap => $rust_fill_encap: fill_encap(skb: *mut raw::sk_buff, lws: *mut raw::lwtunnel_state) -> c_int;
                $get_encap_size => $rust_get_encap_size: get_encap_size(lws: *mut raw::lwtunnel_state) -> c_int;
                $cmp_encap => $rust_cmp_encap: cmp_encap(a: *mut raw::lwtunnel_state, b: *mut raw::lwtunnel_state) -> c_int;
            }

            // SAFETY: The module defines the C functions, such that each calls the Rust function
            // that is defined for it above. The C compiler checks their types.
            unsafe impl Ops for $encap {
                const OPS: &'static raw::lwtunnel_encap_ops = &raw::lwtunnel_encap_ops {
                    build_state: Some($build_state),
                    destroy_state: Some($destroy_state),
                    input: Some($input),
                    output: Some($output),
                    xmit: Some($xmit),
                    fill_encap: Some($fill_encap),
                    get_encap_size: Some($get_encap_size),
                    cmp_encap: Some($cmp_encap),
                    owner: this_module::<$module>().as_ptr().cast(),
                };
            }
        };
    };
}
pub(crate) use encap_ops;
