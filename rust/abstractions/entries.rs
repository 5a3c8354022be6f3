// SPDX-License-Identifier: GPL-2.0-only

//! C functions between the kernel and a callback, for tracers.
//!
//! ftrace relies on a call at the beginning of a function, and BPF programs rely on BTF. Rust code has
//! neither. So a table of callbacks names C functions, each of which calls one that is defined here.
//! A module that uses the macros defines the C functions, and has the C compiler check that the types of
//! all of them are those of the table.

/// Declares C functions, and defines the ones that they call: each is a callback of an adapter.
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
