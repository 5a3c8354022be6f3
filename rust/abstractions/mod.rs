// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's interfaces as safe types.
//!
//! The only room with `unsafe`. It knows the kernel and nothing of what lwtcls does with it; it is
//! laid out as `rust/kernel/` is, and each file could be sent there.

#[path = "../bindings.rs"]
mod bindings;

pub(crate) mod bpf;
pub(crate) mod net;
pub(crate) mod sync;
pub(crate) mod uapi;

#[cfg(lwtcls_kunit)]
pub(crate) mod testing;
