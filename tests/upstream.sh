#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# upstream.sh BUILD KERNEL: the KUnit suites and the demo, inside a guest whose kernel has the
# policies in its tree, built in or as modules.
set -eu
tests=$(cd "$(dirname "$0")" && pwd)
lwt=$2/net/core/lwt_bpf_rust cls=$2/net/sched/cls_bpf_rust
demo=/run/demo.sh

mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
# Built-in suites have run already, because of kunit.autorun.
if [ -e "$lwt/lwt_bpf_rust_kunit.ko" ]; then
	insmod "$lwt/lwt_bpf_rust_kunit.ko"
	insmod "$cls/cls_bpf_rust_kunit.ko"
fi
# The results are in the kernel log: "ok 3 bpf_rust_push" and, before it, "# bpf_rust_push: pass:9 ..".
dmesg | sed -n 's/^\[[^]]*\] *//; /^# bpf_rust_[a-z_]*: pass:/p; /^\(not \)\?ok [0-9]* bpf_rust_/p' >/run/suites
cat /run/suites
if [ "$(grep -c '^ok ' /run/suites)" != 12 ] || grep -q '^not ok ' /run/suites; then
	echo "upstream: not all of the 12 KUnit suites passed"
	exit 1
fi
if [ -e "$lwt/lwt_bpf_rust_kunit.ko" ]; then
	rmmod lwt_bpf_rust_kunit cls_bpf_rust_kunit
fi

# The demo of the out-of-tree module: other files, and built in there is nothing to load.
sed -e 's,debug/lwtcls/,debug/lwt_bpf/,' "$tests/demo.sh" >$demo
if [ -e "$lwt/lwt_bpf_rust.ko" ]; then
	sed -i -e "s,^type insmod .*,type insmod $lwt/lwt_bpf_rust.ko; type insmod $cls/cls_bpf_rust.ko," \
		-e 's,^type rmmod lwtcls,type rmmod lwt_bpf_rust cls_bpf_rust,' \
		-e 's,rmmod lwtcls,rmmod cls_bpf_rust,' $demo
else
	sed -i -e '/^type insmod /d' -e '/refused rmmod lwtcls/d' -e '/^type rmmod lwtcls/d' $demo
fi
sed -i "s,^tests=.*,tests=$tests," $demo
sh $demo "$1" "$2"
# The place of the encapsulation can be taken again.
if [ -e "$lwt/lwt_bpf_rust.ko" ]; then
	insmod "$lwt/lwt_bpf_rust.ko"
	rmmod lwt_bpf_rust
	echo "upstream: loaded and unloaded again"
fi
