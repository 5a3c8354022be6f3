# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What the kernel of a guest was built with. LWTCLS_KERNEL is its build tree.

# lacks_option OPTION WHAT: returns whether the kernel lacks an option. Says then
# that WHAT is left out.
lacks_option() {
	! grep -q "^CONFIG_$1=" "$LWTCLS_KERNEL/.config" || return 1
	echo "left out: $2: the kernel has no CONFIG_$1"
}
