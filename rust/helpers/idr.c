// SPDX-License-Identifier: GPL-2.0-only

#include <linux/idr.h>

__lwtcls_helper void lwtcls_helper_idr_init(struct idr *idr)
{
	idr_init(idr);
}

__lwtcls_helper bool lwtcls_helper_idr_is_empty(const struct idr *idr)
{
	return idr_is_empty(idr);
}
