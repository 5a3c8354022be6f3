// SPDX-License-Identifier: GPL-2.0-only
#define SECTION "lwt_out"
#include "kfunc.h"
