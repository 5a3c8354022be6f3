// SPDX-License-Identifier: GPL-2.0-only

//! Strings on the heap.
//!
//! C header: [`include/linux/string.h`](srctree/include/linux/string.h)

use crate::abstractions::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A NUL-terminated string in an allocation of its size, behind one pointer. The kernel crate's
/// `CString` is a vector.
///
/// # Invariants
///
/// A NUL-terminated string in memory from `kmalloc()`, which is ours, and never written.
pub(crate) struct OwnedCStr(NonNull<c_char>);

// SAFETY: The bytes are the value's own, and may be freed by any thread.
unsafe impl Send for OwnedCStr {}

// SAFETY: The bytes are only ever read.
unsafe impl Sync for OwnedCStr {}

impl OwnedCStr {
    /// Copies a string, and charges it to the memory control group. `ENOMEM`. Process context; may
    /// sleep. C: `kmemdup()`.
    pub(crate) fn new(string: &CStr) -> Result<Self> {
        let bytes = string.to_bytes_with_nul();
        // SAFETY: So many bytes may be read.
        let copy = unsafe {
            bindings::kmemdup(
                bytes.as_ptr().cast(),
                bytes.len(),
                bindings::GFP_KERNEL_ACCOUNT,
            )
        };
        // INVARIANT: Copied just now, from a string.
        Ok(Self(NonNull::new(copy).ok_or(ENOMEM)?.cast()))
    }

    /// The string.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // SAFETY: A string by the type invariant, and it stays as long as `self`.
        unsafe { CStr::from_char_ptr(self.0.as_ptr()) }
    }
}

impl Drop for OwnedCStr {
    fn drop(&mut self) {
        // SAFETY: Allocated by `kmemdup()`, and not used any more.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}
