// SPDX-License-Identifier: GPL-2.0-only

#include <linux/kallsyms.h>

/* An inline function without CONFIG_KALLSYMS. */
__lwtcls_helper int
lwtcls_helper_sprint_symbol_no_offset(char *buffer, unsigned long address)
{
	return sprint_symbol_no_offset(buffer, address);
}
