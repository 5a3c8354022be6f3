// SPDX-License-Identifier: GPL-2.0-only

//! BPF programs that networking runs.

mod context;
mod mem;
pub(crate) mod name;
mod prog;
pub(crate) mod push_encap;
mod stats;

pub(crate) use context::RunContext;
pub(crate) use mem::ProgMem;
pub(crate) use prog::{
    LwtIn,
    LwtOut,
    LwtProg,
    LwtXmit,
    Origin,
    Prog,
    TcProg, //
};
pub(crate) use stats::stats_enabled;
