// SPDX-License-Identifier: GPL-2.0-only

//! The output of bindgen.
//!
//! This is a private module of `abstractions`: no other module can use a binding.

#![allow(
    clippy::all,
    clippy::as_ptr_cast_mut,
    clippy::cast_lossless,
    clippy::multiple_unsafe_ops_per_block,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

/// C: `enum tc_setup_type`.
///
/// A struct of this name, because kCFI compares hashes of callback types. The hash of an enum is
/// that of its name, as it is for a struct. The hash of a plain integer would not match. A struct
/// with one integer is passed like the enum.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct tc_setup_type(pub(crate) kernel::ffi::c_uint);

pub(crate) const TC_SETUP_CLSBPF: tc_setup_type = tc_setup_type(raw::TC_SETUP_CLSBPF_VALUE);

mod raw {
    use super::tc_setup_type;
    use kernel::ffi;

    type __kernel_size_t = usize;
    type __kernel_ssize_t = isize;
    type __kernel_ptrdiff_t = isize;

    include!(concat!(env!("LWTCLS_GENERATED"), "/bindings_generated.rs"));
}

mod helpers {
    use super::raw::*;
    use kernel::ffi;

    include!(concat!(
        env!("LWTCLS_GENERATED"),
        "/bindings_helpers_generated.rs"
    ));
}

pub(crate) use helpers::*;
pub(crate) use raw::*;
