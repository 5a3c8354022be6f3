// SPDX-License-Identifier: GPL-2.0-only

//! Memory of BPF programs.

use crate::abstractions::bindings;
use core::marker::PhantomData;

/// Bytes that a program passes to a function for the duration of the call.
///
/// They may be in a map, where others can write to them at any time: two reads of a byte may
/// differ. Therefore there are no references to them, only copies.
///
/// # Invariants
///
/// `len` bytes at `start` are valid for reads for `'a`, even if the data of the program's packet
/// moves: they are not part of a packet.
#[derive(Clone, Copy)]
pub(crate) struct ProgMem<'a> {
    start: *const u8,
    len: usize,
    _lent: PhantomData<&'a u8>,
}

impl ProgMem<'_> {
    /// # Safety
    ///
    /// `len` bytes at `start` are valid for reads for as long as the value is used. They are not
    /// part of a packet.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn from_raw(start: *const u8, len: usize) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            start,
            len,
            _lent: PhantomData,
        }
    }

    /// Returns the number of bytes.
    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Copies `N` bytes from `offset` on. Returns `None` if there are fewer.
    #[inline(always)]
    pub(crate) fn read<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        if self.len.checked_sub(offset)? < N {
            return None;
        }
        let bytes = self.start.wrapping_add(offset).cast::<[u8; N]>();
        // SAFETY: The bytes are valid for reads, by the type invariant and the check above. Any
        // bytes are a valid array. The read is volatile: the bytes must be read only once.
        Some(unsafe { bytes.read_volatile() })
    }

    /// Copies all bytes. If something writes to them meanwhile, the result may be any bytes.
    ///
    /// # Safety
    ///
    /// [`Self::len`] bytes at `to` are valid for writes. They are not memory of a program.
    #[inline(always)]
    pub(in crate::abstractions) unsafe fn copy_to(self, to: *mut u8) {
        // SAFETY: `len` bytes are valid for reads by the type invariant, and for writes by the
        // safety requirements of this function.
        unsafe { bindings::memcpy(to.cast(), self.start.cast(), self.len) };
    }
}
