// SPDX-License-Identifier: GPL-2.0-only

//! A classifier may run without a BPF network context, so it cannot run programs of routes or take
//! a redirect.

use crate::abstractions::{
    bpf::{
        LwtXmit,
        Prog, //
    },
    net::skbuff::SkBuff,
    sync::bottom_half::BhDisabled, //
};

fn redirect(bh: &BhDisabled<'_>) {
    bh.take_redirect(); //~ E0599
}

fn run(prog: &Prog<LwtXmit>, bh: &BhDisabled<'_>, skb: &mut SkBuff) {
    prog.run(bh, skb); //~ E0308
}

fn claim() -> BhDisabled<'static> {
    unsafe { BhDisabled::assume() } //~ E0624 unsafe_code
}
