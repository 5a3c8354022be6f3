// SPDX-License-Identifier: GPL-2.0-only

//! Safe abstractions of the kernel's interfaces.
//!
//! `unsafe` is confined to this module. It does not depend on the encapsulation or the classifier,
//! and its layout follows `rust/kernel/`.

#![warn(clippy::multiple_unsafe_ops_per_block)]

#[path = "../bindings.rs"]
mod bindings;

pub(crate) mod bpf;
pub(crate) mod compat;
pub(crate) mod entries;
#[cfg(lwtcls_direct_calls)]
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

/// Converts the return value of a C function, 0 or a negative errno.
///
/// The kernel crate's `to_result()` is not inlined into modules. The packet path avoids that call.
#[inline(always)]
fn success(code: c_int) -> Result {
    if code == 0 {
        Ok(())
    } else {
        Err(Error::from_errno(code))
    }
}

/// Marks the calling branch as unlikely: the compiler moves it out of the hot path.
///
/// Equivalent of `core::hint::cold_path()`, which is not stable in all Rust versions that build the
/// supported kernels.
#[cold]
#[inline]
pub(crate) fn cold_path() {}
