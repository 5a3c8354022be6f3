// SPDX-License-Identifier: GPL-2.0-only

//! BPF programs that networking runs.

mod context;
mod prog;

pub(crate) use context::RunContext;
pub(crate) use prog::{
    LwtIn,
    LwtOut,
    LwtProg,
    LwtXmit,
    Origin,
    Prog,
    TcProg, //
};
