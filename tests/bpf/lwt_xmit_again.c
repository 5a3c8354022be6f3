// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reroutes the packet without a change, so the same program runs again; counts how
 * often.
 */
#define SECTION "lwt_xmit"
#define RETURN BPF_LWT_REROUTE
#include "count.h"
