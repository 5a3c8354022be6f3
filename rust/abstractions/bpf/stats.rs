// SPDX-License-Identifier: GPL-2.0-only

//! Whether runs of programs are counted.

use kernel::jump_label::static_branch_unlikely;

/// The key as the kernel crate takes it: as the field of something.
#[repr(C)]
struct Key {
    key: kernel::bindings::static_key_false,
}

extern "C" {
    // C writes it.
    static mut bpf_stats_enabled_key: Key;
}

/// Whether `kernel.bpf_stats_enabled` is 1, or a process has asked for it by `BPF_ENABLE_STATS`. It
/// costs a no-op in kernels that patch static keys (`CONFIG_JUMP_LABEL`). C: `static_branch_unlikely(&bpf_stats_enabled_key)`.
#[inline(always)]
pub(crate) fn stats_enabled() -> bool {
    // SAFETY: The kernel's own key, of a type that has nothing but the key.
    unsafe { static_branch_unlikely!(bpf_stats_enabled_key, Key, key) }
}
