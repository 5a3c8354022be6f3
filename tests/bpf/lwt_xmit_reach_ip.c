// SPDX-License-Identifier: GPL-2.0-only
#define SECTION "lwt_xmit"
#define ENCAP BPF_LWT_ENCAP_IP
#include "reach.h"
