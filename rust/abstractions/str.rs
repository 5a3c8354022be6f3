// SPDX-License-Identifier: GPL-2.0-only

//! Strings on the heap.
//!
//! C header: [`include/linux/string.h`](srctree/include/linux/string.h)

use crate::abstractions::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A NUL-terminated string in an allocation of its size. The kernel crate's `CString` grows a vector.
///
/// # Invariants
///
/// At `start` are `len` bytes from `kmalloc()`, which are ours, and never written. The last of them,
/// and no other, is NUL.
pub(crate) struct OwnedCStr {
    start: NonNull<u8>,
    len: usize,
}

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
        Ok(Self {
            start: NonNull::new(copy).ok_or(ENOMEM)?.cast(),
            len: bytes.len(),
        })
    }

    /// The string.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // SAFETY: By the type invariant.
        unsafe {
            CStr::from_bytes_with_nul_unchecked(core::slice::from_raw_parts(
                self.start.as_ptr(),
                self.len,
            ))
        }
    }
}

impl Drop for OwnedCStr {
    fn drop(&mut self) {
        // SAFETY: Allocated by `kmemdup()`, and not used any more.
        unsafe { bindings::kfree(self.start.as_ptr().cast()) };
    }
}
