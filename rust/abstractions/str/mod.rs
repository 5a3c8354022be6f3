// SPDX-License-Identifier: GPL-2.0-only

//! Strings on the heap.
//!
//! C header: [`include/linux/string.h`](srctree/include/linux/string.h)

mod shared;

pub(crate) use shared::SharedCStr;

use crate::abstractions::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A NUL-terminated string on the heap. The value is a thin pointer to an allocation of the
/// string's size, unlike the kernel crate's `CString`, which is a vector.
///
/// # Invariants
///
/// The pointer is to a NUL-terminated string in memory from `kmalloc()`. The value owns the memory,
/// and the string is never written.
pub(crate) struct OwnedCStr(NonNull<c_char>);

// SAFETY: The value owns the bytes, and any thread may free them.
unsafe impl Send for OwnedCStr {}

// SAFETY: The bytes are only read.
unsafe impl Sync for OwnedCStr {}

impl OwnedCStr {
    /// Copies a string. The memory is charged to the memory cgroup. C: `kmemdup()`.
    ///
    /// Fails with `ENOMEM`. Process context; may sleep.
    pub(crate) fn new(string: &CStr) -> Result<Self> {
        let bytes = string.to_bytes_with_nul();
        // SAFETY: `bytes` is valid for reads of its length.
        let copy = unsafe {
            bindings::kmemdup(
                bytes.as_ptr().cast(),
                bytes.len(),
                bindings::GFP_KERNEL_ACCOUNT,
            )
        };
        // INVARIANT: A new copy of a NUL-terminated string.
        Ok(Self(NonNull::new(copy).ok_or(ENOMEM)?.cast()))
    }

    /// Returns the string.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // SAFETY: The pointer is to a NUL-terminated string by the type invariant, and the string
        // lives as long as `self`.
        unsafe { CStr::from_char_ptr(self.0.as_ptr()) }
    }
}

impl Drop for OwnedCStr {
    fn drop(&mut self) {
        // SAFETY: Allocated by `kmemdup()`, owned by the type invariant, and not used after this.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}
