/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replaces <linux/compiler_types.h> where clang or bindgen reads the headers of
 * a kernel that was built by GCC. Its CONFIG_CC_* options describe GCC.
 *
 * GCC adds the segment prefix to per-CPU operands by itself; clang does not.
 * Older versions of clang compute wrong object sizes from "counted_by". Of the
 * compiler options that headers test, only these cause wrong code without an
 * error.
 */
#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_USE_X86_SEG_SUPPORT
#undef CONFIG_CC_HAS_COUNTED_BY
#undef CONFIG_CC_HAS_COUNTED_BY_PTR

#include <linux/compiler_types.h>
