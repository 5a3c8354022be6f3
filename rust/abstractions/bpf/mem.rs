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
/// `len` bytes at `start` can be read for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct ProgMem<'a> {
    start: *const u8,
    len: usize,
    _lent: PhantomData<&'a u8>,
}

impl ProgMem<'_> {
    /// # Safety
    ///
    /// `len` bytes at `start` can be read for as long as the value is used.
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

    /// Fills `to` with the bytes from `offset` on. `None` if there are fewer; nothing is written
    /// then.
    #[inline(always)]
    pub(crate) fn copy(self, offset: usize, to: &mut [u8]) -> Option<()> {
        if self.len.checked_sub(offset)? < to.len() {
            return None;
        }
        // SAFETY: That many bytes can be read, by the type invariant and the check, and `to` can be
        // written. They are different memory: `to` is not a program's. If somebody writes meanwhile,
        // nobody promised which bytes these are.
        unsafe {
            bindings::memcpy(
                to.as_mut_ptr().cast(),
                self.start.add(offset).cast(),
                to.len(),
            )
        };
        Some(())
    }
}
