#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh BUILD KERNEL [PYTEST ARGUMENTS]: all tests, inside the guest.
#
# LWTCLS_SIDE=c: the scenarios are about the C implementations. KERNEL is the
# reference kernel, and nothing of BUILD is loaded but the programs.
set -eu
tests=$(cd "$(dirname "$0")" && pwd)
export LWTCLS_BUILD="$1" LWTCLS_KERNEL="$2" PYTHONDONTWRITEBYTECODE=1
shift 2

mount -t debugfs debugfs /sys/kernel/debug
# Not where it usually is: "ip -n" and "tc -n" see a /sys of their own.
mkdir -p /run/bpf
mount -t bpf bpf /run/bpf

# Started some thousand times: each file that is opened on the host's side is a question
# to the host, and a command has a dozen of them.
cp -r "$tests/../build/tools" /run/tools
export PATH="/run/tools:$PATH" LD_LIBRARY_PATH=/run/tools

# A new namespace has the devices that a scenario makes, not seven more.
echo 2 >/proc/sys/net/core/fb_tunnels_only_for_init_net

# The kernel must not fetch its own classifier where ours is missing. One that has most of what
# the scenarios need in modules fetches these, but an action, which they ask for in vain.
modprobe=/bin/false
if [ -e "/lib/modules/$(uname -r)/modules.dep" ]; then
	modprobe=/run/lwtcls-modprobe
	mkdir -p /run/modprobe.d
	printf 'blacklist %s\n' cls_bpf act_simple >/run/modprobe.d/lwtcls.conf
	printf '#!/bin/sh\nexec /sbin/modprobe -C /run/modprobe.d "$@"\n' >$modprobe
	chmod 755 $modprobe
	# Where there is a device manager, it makes this, and whoever opens it loads the module.
	mkdir -p /dev/net
	[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
fi
echo $modprobe >/proc/sys/kernel/modprobe

# Where the kernel watches for data races, it does so from here on: ours come later.
watched=/sys/kernel/debug/kcsan
[ ! -e $watched ] || echo on >$watched

# without OPTION WHAT: whether the kernel lacks an option, and WHAT is left out therefore.
without() {
	! grep -q "^CONFIG_$1=" "$LWTCLS_KERNEL/.config" || return 1
	echo "left out: $2: the kernel has no CONFIG_$1"
}

# The suites run as the module is loaded, and report to the kernel's log.
if grep -q kunit.autorun=1 /proc/cmdline && ! without KUNIT "KUnit suites"; then
	echo "lwtcls: suites begin" >/dev/kmsg
	insmod "$LWTCLS_BUILD/lwtcls_kunit.ko"
	rmmod lwtcls_kunit
	echo "lwtcls: suites end" >/dev/kmsg
fi

# What is lost from here on is ours.
leaks=/sys/kernel/debug/kmemleak
if ! grep -q kmemleak=on /proc/cmdline || without DEBUG_KMEMLEAK "the search for lost memory"; then
	leaks=
fi
[ -z "$leaks" ] || echo clear >$leaks
status=0
cd "$tests"
python3 -m pytest -p no:cacheprovider -v --tb=short --durations=10 --durations-min=5 \
	--rootdir . "$@" || status=$?
# Nothing selected here: the other guest may have it, and the count says so.
[ "$status" != 5 ] || status=0

if lsmod | grep -q '^lwtcls'; then
	echo "lwtcls is still loaded after the tests"
	status=1
fi
if [ -e $watched ]; then
	echo off >$watched
	sed -n 's/^\(setup_watchpoints\|data_races\): /watched: &/p' $watched
fi
# A block is only called lost when two scans, five seconds apart, miss it.
if [ -n "$leaks" ]; then
	sleep 5
	echo scan >$leaks
	sleep 1
	echo scan >$leaks
	# The file has no size.
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
