// SPDX-License-Identifier: GPL-2.0-only

//! Functions of C between the kernel and a callback, for tracers.
//!
//! ftrace knows a function by a call at its beginning, which rustc makes none of, and BPF programs
//! know it by BTF, which Rust is left out of. So a table of callbacks names functions of C, each of
//! which jumps to one that is made here.

/// Declares functions of C, and makes the ones that they go on in: each is a callback of an adapter.
macro_rules! entries {
    ($adapter:ty:
     $($entry:ident => $symbol:ident: $callback:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        // Structures without a field have no size in C either.
        #[allow(improper_ctypes)]
        extern "C" {
            $(fn $entry($($arg: $ty),*) $(-> $ret)?;)*
        }

        $(
            /// # Safety
            ///
            /// As for the callback.
            #[no_mangle]
            unsafe extern "C" fn $symbol($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: By the safety requirements of this function.
                unsafe { <$adapter>::$callback($($arg),*) }
            }
        )*
    };
}
pub(crate) use entries;
