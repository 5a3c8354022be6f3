// SPDX-License-Identifier: GPL-2.0-only

//! C functions between the kernel and the Rust callbacks, for tracers.
//!
//! ftrace needs a call at the beginning of a function, and BPF programs need BTF. Rust code has
//! neither. Therefore a table of callbacks contains C functions, each of which calls a Rust
//! function that is defined here. A module that uses the macros defines the C functions, and lets
//! the C compiler check that the types of all of them match the table.

/// Declares the C functions, and defines the Rust functions that they call. Each calls a callback
/// of an adapter.
macro_rules! entries {
    ($adapter:ty:
     $($entry:ident => $symbol:ident: $callback:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        // Structures without fields have size 0 in C, too.
        #[allow(improper_ctypes)]
        extern "C" {
            $(fn $entry($($arg: $ty),*) $(-> $ret)?;)*
        }

        $(
            /// # Safety
            ///
            /// The safety requirements are those of the callback.
            #[no_mangle]
            unsafe extern "C" fn $symbol($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: By the safety requirements of this function.
                unsafe { <$adapter>::$callback($($arg),*) }
            }
        )*
    };
}
pub(crate) use entries;
