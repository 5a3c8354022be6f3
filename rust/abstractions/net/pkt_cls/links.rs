// SPDX-License-Identifier: GPL-2.0-only

//! Lists of C.
//!
//! C header: [`include/linux/list.h`](srctree/include/linux/list.h)

use crate::abstractions::bindings;

/// Iterates over the links of the entries of a list. C: `list_for_each_safe()`.
///
/// # Invariants
///
/// `head` is the head of a list, and `at` is the head or the links of an entry.
pub(super) struct Links {
    head: *mut bindings::list_head,
    at: *mut bindings::list_head,
}

impl Links {
    /// # Safety
    ///
    /// `head` is the head of a list, which nobody else changes while the value is used. The caller
    /// only removes entries that were returned.
    pub(super) unsafe fn of(head: *mut bindings::list_head) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            head,
            // SAFETY: By the safety requirements of this function.
            at: unsafe { (*head).next },
        }
    }
}

impl Iterator for Links {
    type Item = *mut bindings::list_head;

    fn next(&mut self) -> Option<*mut bindings::list_head> {
        let links = self.at;
        if links == self.head {
            return None;
        }
        // SAFETY: `links` are those of an entry, by the type invariant.
        self.at = unsafe { (*links).next };
        Some(links)
    }
}
