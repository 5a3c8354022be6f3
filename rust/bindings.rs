// SPDX-License-Identifier: GPL-2.0-only

//! bindgen's output, wrapped once.
//!
//! A private module of `abstractions`: no other module can name a binding.

#![allow(
    clippy::all,
    clippy::as_ptr_cast_mut,
    clippy::cast_lossless,
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
/// It is in the type of a callback, of which a kernel with kCFI compares a hash. By name, as here,
/// that of an enum is the hash of a structure; that of the number is another one. In a call both are
/// passed alike.
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
