// SPDX-License-Identifier: GPL-2.0-only
#define SECTION "lwt_xmit"
#include "push_six.h"
