// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks for a new route and changes nothing, so it is asked again: see how often.
 */
#define SECTION "lwt_xmit"
#define RETURN BPF_LWT_REROUTE
#include "count.h"
