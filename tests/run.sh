#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh BUILD KERNEL [PYTEST ARGUMENTS]: all tests, inside the guest.
#
# LWTCLS_SIDE=c: tests the C implementations. KERNEL is the reference kernel, and
# only the programs of BUILD are used.
set -eu
tests=$(cd "$(dirname "$0")" && pwd)
export LWTCLS_BUILD="$1" LWTCLS_KERNEL="$2" PYTHONDONTWRITEBYTECODE=1
shift 2

# shellcheck source=tests/options.sh
. "$tests/options.sh"
lacks_option DEBUG_FS "files in debugfs" || mount -t debugfs debugfs /sys/kernel/debug
# Not at /sys/fs/bpf, because "ip -n" and "tc -n" mount a /sys of their own.
mkdir -p /run/bpf
mount -t bpf bpf /run/bpf

# Copied because commands start thousands of times: each file opened on the host's file system is
# a round trip to the host, and a command opens a dozen.
cp -r "$LWTCLS_BUILD/tools/." /run/tools
export PATH="/run/tools:$PATH" LD_LIBRARY_PATH=/run/tools

# A new namespace gets no fallback tunnel devices, only the devices that a scenario adds.
echo 2 >/proc/sys/net/core/fb_tunnels_only_for_init_net

# The kernel must not load its own classifier if ours is missing. A kernel that has most of what
# the scenarios need in modules may load those, except for an action whose absence is tested.
modprobe=/bin/false
if [ -e "/lib/modules/$(uname -r)/modules.dep" ]; then
	modprobe=/run/lwtcls-modprobe
	mkdir -p /run/modprobe.d
	printf 'blacklist %s\n' cls_bpf act_simple >/run/modprobe.d/lwtcls.conf
	printf '#!/bin/sh\nexec /sbin/modprobe -C /run/modprobe.d "$@"\n' >$modprobe
	chmod 755 $modprobe
	# udev would create this node, and opening it loads the module.
	mkdir -p /dev/net
	[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
fi
echo $modprobe >/proc/sys/kernel/modprobe

# Enables KCSAN, if there is one, before our modules are loaded.
watched=/sys/kernel/debug/kcsan
[ ! -e $watched ] || echo on >$watched

# The KUnit suites run when the module is loaded, and report to the kernel log.
if grep -q kunit.autorun=1 /proc/cmdline && ! lacks_option KUNIT "KUnit suites"; then
	echo "lwtcls: suites begin" >/dev/kmsg
	insmod "$LWTCLS_BUILD/lwtcls_kunit.ko"
	rmmod lwtcls_kunit
	echo "lwtcls: suites end" >/dev/kmsg
fi

# Earlier leaks are not ours.
leaks=/sys/kernel/debug/kmemleak
if ! grep -q kmemleak=on /proc/cmdline || lacks_option DEBUG_KMEMLEAK "the search for lost memory"; then
	leaks=
fi
[ -z "$leaks" ] || echo clear >$leaks
status=0
cd "$tests"
python3 -m pytest -p no:cacheprovider -v --tb=short --durations=10 --durations-min=5 \
	--rootdir . "$@" || status=$?
# Status 5: no scenario was selected in this guest. The other guest may have some, and the counts
# show it.
[ "$status" != 5 ] || status=0

if lsmod | grep -q '^lwtcls'; then
	echo "lwtcls is still loaded after the tests"
	status=1
fi
if [ -e $watched ]; then
	echo off >$watched
	sed -n 's/^\(setup_watchpoints\|data_races\): /watched: &/p' $watched
fi
# kmemleak reports a block if two scans find no reference to it, and skips blocks younger than
# five seconds.
if [ -n "$leaks" ]; then
	sleep 5
	echo scan >$leaks
	sleep 1
	echo scan >$leaks
	# The file has size 0, so test -s does not help.
	if [ -n "$(cat $leaks)" ]; then
		echo "memory was lost:"
		cat $leaks
		status=1
	else
		echo "kmemleak: nothing lost"
	fi
fi
echo "guest: tests ended with status $status"
exit "$status"
