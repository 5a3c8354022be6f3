// SPDX-License-Identifier: GPL-2.0-only

//! BPF statistics.

use kernel::jump_label::static_branch_unlikely;

/// The static key as a field, which the macro of the kernel crate requires.
#[repr(C)]
struct Key {
    key: kernel::bindings::static_key_false,
}

extern "C" {
    // C code writes it.
    static mut bpf_stats_enabled_key: Key;
}

/// Returns whether BPF statistics are enabled: `kernel.bpf_stats_enabled` is 1, or a process has
/// enabled them by `BPF_ENABLE_STATS`. C: `static_branch_unlikely(&bpf_stats_enabled_key)`.
///
/// Costs a no-op in kernels that patch static keys (`CONFIG_JUMP_LABEL`).
#[inline(always)]
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "the kernel crate's macro is one operation"
)]
pub(crate) fn stats_enabled() -> bool {
    // SAFETY: The static key of the kernel. `Key` consists of the key only.
    unsafe { static_branch_unlikely!(bpf_stats_enabled_key, Key, key) }
}
