// SPDX-License-Identifier: GPL-2.0-only

#include <linux/bpf.h>

__lwtcls_helper bool
lwtcls_helper_bpf_prog_is_dev_bound(const struct bpf_prog_aux *aux)
{
	return bpf_prog_is_dev_bound(aux);
}
