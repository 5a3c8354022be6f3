// SPDX-License-Identifier: GPL-2.0-only

#include <linux/idr.h>

__lwtcls_helper void lwtcls_helper_idr_init(struct idr *idr)
{
	idr_init(idr);
}
