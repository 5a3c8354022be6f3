// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>

/* An inline function without CONFIG_MODULE_UNLOAD. */
__lwtcls_helper void lwtcls_helper___module_get(struct module *module)
{
	__module_get(module);
}
