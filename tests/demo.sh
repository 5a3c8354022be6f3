#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh BUILD: the tour, inside the guest. Every command is shown as it is
# typed; each ping is checked for what it should do, so the tour can fail.
set -u
tests=$(cd "$(dirname "$0")" && pwd)
cd "$1/bpf" || exit 1
# The programs of all kernels are in one place, the module is not.
module=$(realpath --relative-to=. "$1/lwtcls.ko")

note() { printf '\n## %s\n' "$*"; }
# type COMMAND: shows and runs it; a failure ends the demo.
type() {
	printf '# %s\n' "$*"
	sh -c "$*" || { echo "demo: the last command failed"; exit 1; }
}
ping_as() {
	want=$1
	shift
	printf '# %s\n' "$*"
	if sh -c "$*"; then got=passes; else got=dropped; fi
	if [ "$got" != "$want" ]; then
		echo "demo: this ping should have been: $want"
		exit 1
	fi
	echo "-> the ping: $got"
}
PING='ip netns exec a ping -n -c 1 -W 1 10.1.0.1'

note "The kernel"
type uname -r

note "The module, and two namespaces joined by a veth pair"
type insmod "$module"
type lsmod
# shellcheck source=tests/net.sh
. "$tests/net.sh"
type ip -n a route show
ping_as passes "$PING"

note "A program on xmit of the route that lets packets pass, then one that drops"
type ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit via 10.0.0.2
ping_as passes "$PING"
type ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_drop.o section lwt_xmit via 10.0.0.2
type ip -n a route show
ping_as dropped "$PING"
type bpftool prog show

note "On out"
type ip -n a route replace 10.1.0.1 encap bpf out obj lwt_out_drop.o section lwt_out via 10.0.0.2
type ip -n a route show 10.1.0.1
ping_as dropped "$PING"

note "On in, where the packet arrives"
type ip -n a route replace 10.1.0.1 via 10.0.0.2
type ip -n b route replace table local local 10.1.0.1 encap bpf in obj lwt_in_drop.o section lwt_in dev lo
type ip -n b route show table local 10.1.0.1
ping_as dropped "$PING"
type ip -n b route replace table local local 10.1.0.1 dev lo
ping_as passes "$PING"

note "A program on xmit that puts its packets into a tunnel; b takes them out again"
type ip -n b link add gre1 type gre local 10.0.0.2 remote 10.0.0.1
type ip -n b link set gre1 up
type ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_gre.o section lwt_xmit headroom 24 via 10.0.0.2
ping_as passes "$PING"
type ip -n b -s link show gre1
ip -n b -j -s link show gre1 | grep -q '"rx":{[^}]*"packets":1,' || {
	echo "demo: the ping did not come through the tunnel"
	exit 1
}
type ip -n a route replace 10.1.0.1 via 10.0.0.2

note "A classifier on egress"
type tc -n a qdisc add dev va clsact
type tc -n a filter add dev va egress bpf da obj tc_shot.o sec tc
type tc -n a filter show dev va egress
ping_as dropped "$PING"
type tc -n a filter del dev va egress

note "A classifier on ingress, replaced in its place"
type tc -n a filter add dev va ingress prio 1 handle 1 bpf da obj tc_shot.o sec tc
ping_as dropped "$PING"
type tc -n a filter replace dev va ingress prio 1 handle 1 bpf da obj tc_ok.o sec tc
type tc -n a filter show dev va ingress
ping_as passes "$PING"

note "A refusal says why"
printf '# %s\n' "ip -n a route add 10.9.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit headroom 257 via 10.0.0.2"
if ip -n a route add 10.9.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit headroom 257 via 10.0.0.2 2>&1; then
	echo "demo: that should have been refused"
	exit 1
fi

note "The module stays while a filter uses it, and goes without a trace"
printf '# rmmod lwtcls\n'
if rmmod lwtcls 2>&1; then
	echo "demo: that should have been refused"
	exit 1
fi
type tc -n a qdisc del dev va clsact
type rmmod lwtcls
type bpftool prog show
echo
echo "demo: all went as it should"
