// SPDX-License-Identifier: GPL-2.0-only

//! Memory that BPF programs lend.

use crate::abstractions::bindings;
use core::marker::PhantomData;

/// Bytes that a program gives a function for the time of the call.
///
/// They may lie in a map, which anybody can write to meanwhile: what was looked at once may be
/// another thing when it is looked at again. So there are no references to it, only copies.
///
/// # Invariants
///
/// `len` bytes at `start` can be read for `'a`, also if the packet that the program runs on moves
/// meanwhile: they are no part of a packet.
#[derive(Clone, Copy)]
pub(crate) struct ProgMem<'a> {
    start: *const u8,
    len: usize,
    _lent: PhantomData<&'a u8>,
}

impl ProgMem<'_> {
    /// # Safety
    ///
    /// `len` bytes at `start` can be read for as long as the value is used, and are no part of a
    /// packet.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(start: *const u8, len: usize) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            start,
            len,
            _lent: PhantomData,
        }
    }

    /// How many bytes there are.
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Copies `N` bytes from `offset` on. `None` if there are fewer.
    #[inline(always)]
    pub(crate) fn read<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        if self.len.checked_sub(offset)? < N {
            return None;
        }
        // SAFETY: That many bytes can be read, by the type invariant and the check. Any bytes are a
        // valid array; volatile, for the copy is what counts from here on.
        Some(unsafe { self.start.add(offset).cast::<[u8; N]>().read_volatile() })
    }

    /// Copies all of it. If somebody writes to it meanwhile, any bytes may come of it.
    ///
    /// # Safety
    ///
    /// [`Self::len`] bytes at `to` can be written to, and are no memory of a program.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn copy_to(self, to: *mut u8) {
        // SAFETY: So many bytes can be read, by the type invariant, and written, by the safety
        // requirements of this function.
        unsafe { bindings::memcpy(to.cast(), self.start.cast(), self.len) };
    }
}
