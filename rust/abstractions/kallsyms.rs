// SPDX-License-Identifier: GPL-2.0-only

//! Where the kernel's variables are, and how what is somewhere is called.
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

    /// The address of a variable of the kernel that is not exported, the first of several of that
    /// name; `None` if the kernel has none, or only knows functions (`CONFIG_KALLSYMS_ALL`). Process
    /// context.
    ///
    /// A probe on a variable is refused, but only after its name was looked up: C:
    /// `register_kprobe()`. The kernel's own look-up is not exported.
    pub(crate) fn variable(name: &'static CStr) -> Option<NonNull<c_void>> {
        // SAFETY: All zeros are a probe that is not registered.
        let mut probe: bindings::kprobe = unsafe { zeroed() };
        probe.symbol_name = name.as_char_ptr().cast();
        // SAFETY: The probe is ours, and the name is static. What is registered, were there a function
        // of that name, is gone before the probe is.
        unsafe {
            if bindings::register_kprobe(&mut probe) == 0 {
                bindings::unregister_kprobe(&mut probe);
                return None;
            }
        }
        NonNull::new(probe.addr.cast())
    }

    /// Whether the kernel itself, and no module, has something of that name there. C:
    /// `sprint_symbol_no_offset()`, which has the name of a module behind what is a module's.
    pub(crate) fn is_called(addr: *const c_void, name: &CStr) -> bool {
        let mut text = [0u8; bindings::KSYM_SYMBOL_LEN as usize];
        // SAFETY: The callee writes no more than that, a NUL included. The address is a number to it.
        unsafe { bindings::sprint_symbol_no_offset(text.as_mut_ptr().cast(), addr as usize) };
        CStr::from_bytes_until_nul(&text).is_ok_and(|said| said == name)
    }
}

#[cfg(not(CONFIG_KPROBES))]
mod names {
    use core::ptr::NonNull;
    use kernel::prelude::*;

    /// Never: the kernel does not tell.
    pub(crate) fn variable(_name: &'static CStr) -> Option<NonNull<c_void>> {
        None
    }

    /// Never: as above.
    pub(crate) fn is_called(_addr: *const c_void, _name: &CStr) -> bool {
        false
    }
}

pub(crate) use names::{
    is_called,
    variable, //
};
