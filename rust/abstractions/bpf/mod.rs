// SPDX-License-Identifier: GPL-2.0-only

//! BPF programs of networking.

mod context;
mod mem;
mod prog;
pub(crate) mod push_encap;
mod run;
mod stats;
mod tc_prog;

pub(crate) use context::BpfNetContext;
pub(crate) use mem::ProgMem;
pub(crate) use prog::{
    LwtIn,
    LwtOut,
    LwtProg,
    LwtXmit,
    Prog, //
};
pub(crate) use stats::stats_enabled;
pub(crate) use tc_prog::{
    ProgOrigin,
    TcProg, //
};
