// SPDX-License-Identifier: GPL-2.0-only

//! UAPI constants, under their names in `include/uapi/`.

use super::bindings;

pub(crate) use bindings::{
    bpf_ret_code_BPF_DROP as BPF_DROP,
    bpf_ret_code_BPF_LWT_REROUTE as BPF_LWT_REROUTE,
    bpf_ret_code_BPF_OK as BPF_OK,
    bpf_ret_code_BPF_REDIRECT as BPF_REDIRECT,
    lwtunnel_encap_types_LWTUNNEL_ENCAP_BPF as LWTUNNEL_ENCAP_BPF,
    LWT_BPF_MAX_HEADROOM,
    TCA_BPF_FLAG_ACT_DIRECT,
    TC_H_MAJ_MASK, //
};

/// IPv4, in network byte order, as in `skb->protocol`.
pub(crate) const ETH_P_IP: u16 = (bindings::ETH_P_IP as u16).to_be();
/// IPv6, in network byte order, as in `skb->protocol`.
pub(crate) const ETH_P_IPV6: u16 = (bindings::ETH_P_IPV6 as u16).to_be();

/// Minimum payload of a segment of a TCP packet with GSO.
pub(crate) const TCP_MIN_GSO_SIZE: u16 = bindings::TCP_MIN_GSO_SIZE as u16;

/// Defines `IPPROTO_*` as `u8`, the type of the field in IP headers.
macro_rules! protocols {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`.")]
            pub(crate) const $name: u8 = bindings::$name as u8;
        )*
    };
}

protocols! {
    IPPROTO_DSTOPTS
    IPPROTO_GRE
    IPPROTO_HOPOPTS
    IPPROTO_IPIP
    IPPROTO_IPV6
    IPPROTO_ROUTING
    IPPROTO_UDP
}

/// Defines attribute types as plain numbers: bindgen names the types of anonymous enums by their
/// position.
macro_rules! attributes {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`.")]
            pub(crate) const $name: usize = bindings::$name as usize;
        )*
    };
}

attributes! {
    LWT_BPF_IN
    LWT_BPF_OUT
    LWT_BPF_PROG_FD
    LWT_BPF_PROG_NAME
    LWT_BPF_XMIT
    LWT_BPF_XMIT_HEADROOM
    TCA_BPF_ACT
    TCA_BPF_CLASSID
    TCA_BPF_FD
    TCA_BPF_FLAGS
    TCA_BPF_FLAGS_GEN
    TCA_BPF_ID
    TCA_BPF_NAME
    TCA_BPF_OPS
    TCA_BPF_OPS_LEN
    TCA_BPF_POLICE
    TCA_BPF_TAG
    TCA_OPTIONS
    TCA_RATE
    TCA_STATS2
    TCA_STATS_BASIC
    TCA_STATS_PAD
    TCA_STATS_PKT64
    TCA_STATS_QUEUE
    __LWT_BPF_MAX
    __LWT_BPF_PROG_MAX
    __TCA_BPF_MAX
}
