// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's interfaces as safe types.
//!
//! `unsafe` is confined to this module. It does not know what lwtcls does with the kernel's
//! interfaces, and is laid out as `rust/kernel/` is.

#[path = "../bindings.rs"]
mod bindings;

pub(crate) mod bpf;
pub(crate) mod compat;
pub(crate) mod entries;
#[cfg(all(CONFIG_X86_64, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS))]
mod ftrace;
mod kallsyms;
pub(crate) mod net;
pub(crate) mod str;
pub(crate) mod sync;
pub(crate) mod time;
pub(crate) mod trace;
pub(crate) mod uapi;

#[cfg(lwtcls_kunit)]
pub(crate) mod testing;

use kernel::prelude::*;

/// What a C function says that returns 0 or an errno. The kernel crate's `to_result()` is a call
/// from a module, which the packet path does without.
#[inline(always)]
fn success(code: c_int) -> Result {
    if code == 0 {
        Ok(())
    } else {
        Err(Error::from_errno(code))
    }
}

/// The compiler lays out whatever calls it behind what does not. As `core::hint::cold_path()`, which
/// is not stable in all versions of Rust that build these kernels.
#[cold]
#[inline]
pub(crate) fn cold_path() {}
