// SPDX-License-Identifier: GPL-2.0-only
#define RETURN TC_ACT_UNSPEC
#include "realm.h"
