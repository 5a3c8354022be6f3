// SPDX-License-Identifier: GPL-2.0-only

//! Lookup of kernel symbols.
//!
//! C header: [`include/linux/kallsyms.h`](srctree/include/linux/kallsyms.h)

#[cfg(CONFIG_KPROBES)]
mod names {
    use crate::abstractions::bindings;
    use core::{
        mem::zeroed,
        ptr::NonNull, //
    };
    use kernel::prelude::*;

    /// Looks up the address of a kernel variable that is not exported. If several have the name,
    /// returns the first one.
    ///
    /// Returns `None` if there is no such symbol, or if the kernel's symbol table has functions
    /// only (no `CONFIG_KALLSYMS_ALL`). Process context.
    ///
    /// `register_kprobe()` resolves the name of the symbol before it refuses to probe a variable,
    /// and leaves the address in the probe. The kernel's own lookup function is not exported.
    pub(crate) fn variable(name: &'static CStr) -> Option<NonNull<c_void>> {
        // SAFETY: All zeroes are a valid probe that is not registered.
        let mut probe: bindings::kprobe = unsafe { zeroed() };
        probe.symbol_name = name.as_char_ptr().cast();
        // SAFETY: The probe is exclusively owned, and the name is static. If there is a function of
        // that name, the probe is registered, and unregistered before it goes out of scope.
        if unsafe { bindings::register_kprobe(&mut probe) } == 0 {
            // SAFETY: Registered above.
            unsafe { bindings::unregister_kprobe(&mut probe) };
            return None;
        }
        NonNull::new(probe.addr.cast())
    }

    /// Returns whether `addr` lies in the symbol `name` of the kernel image, not of a module.
    ///
    /// C: `sprint_symbol_no_offset()`, which appends the name of the module to the symbols of
    /// modules.
    pub(crate) fn is_called(addr: *const c_void, name: &CStr) -> bool {
        let mut text = [0u8; bindings::KSYM_SYMBOL_LEN as usize];
        // SAFETY: The callee writes at most `KSYM_SYMBOL_LEN` bytes, including the NUL. It does not
        // dereference the address.
        unsafe { bindings::sprint_symbol_no_offset(text.as_mut_ptr().cast(), addr as usize) };
        CStr::from_bytes_until_nul(&text).is_ok_and(|said| said == name)
    }
}

#[cfg(not(CONFIG_KPROBES))]
mod names {
    use core::ptr::NonNull;
    use kernel::prelude::*;

    /// Returns `None`: without kprobes there is no way to look up a symbol.
    pub(crate) fn variable(_name: &'static CStr) -> Option<NonNull<c_void>> {
        None
    }

    /// Returns `false`: without kprobes [`variable`] finds nothing to check.
    pub(crate) fn is_called(_addr: *const c_void, _name: &CStr) -> bool {
        false
    }
}

pub(crate) use names::{
    is_called,
    variable, //
};
