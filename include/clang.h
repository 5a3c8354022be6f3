/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands in for <linux/compiler_types.h> where clang compiles for a kernel of
 * GCC's, whose configuration says what GCC can.
 *
 * GCC writes the segment into an operand of per-CPU data by itself, clang does
 * not; and older ones of clang miscount what "counted_by" tells the length of.
 * Of what the headers ask the configuration about the compiler, these would make
 * other code and no error.
 */
#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_USE_X86_SEG_SUPPORT
#undef CONFIG_CC_HAS_COUNTED_BY
#undef CONFIG_CC_HAS_COUNTED_BY_PTR

#include <linux/compiler_types.h>
