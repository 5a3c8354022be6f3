// SPDX-License-Identifier: GPL-2.0-only
#define SECTION "lwt_xmit"
#define SOURCE { 0 }
#include "push_six.h"
