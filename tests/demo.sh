#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# demo.sh BUILD KERNEL: the demo, inside the guest. It prints each command before
# it runs it, and fails if a ping does not do what it should.
set -u
tests=$(cd "$(dirname "$0")" && pwd)
export LWTCLS_KERNEL="$2"
# shellcheck source=tests/options.sh
. "$tests/options.sh"
actions=yes files=yes tunnel=yes
if lacks_option NET_CLS_ACT "clsact, and the filters on it"; then actions=; fi
if lacks_option DEBUG_FS "the files of the module"; then files=; fi
if ! grep -q '^CONFIG_LWTUNNEL_BPF=' "$LWTCLS_KERNEL/.config" &&
	lacks_option DYNAMIC_FTRACE_WITH_DIRECT_CALLS "the tunnel"; then
	tunnel=
fi
cd "$1/bpf" || exit 1
# All kernels share the programs, and each has its own module.
module=$(realpath --relative-to=. "$1/lwtcls.ko")

note() { printf '\n## %s\n' "$*"; }
# type COMMAND: shows and runs it; a failure ends the demo.
type() {
	printf '# %s\n' "$*"
	sh -c "$*" || { echo "demo: the last command failed"; exit 1; }
}
# refused COMMAND: shows and runs it; ends the demo if it succeeds.
refused() {
	printf '# %s\n' "$*"
	if sh -c "$*" 2>&1; then
		echo "demo: that should have been refused"
		exit 1
	fi
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

# counts PATTERN FILE: ends the demo if no line of a file matches.
counts() {
	grep -q "$1" "$2" || { echo "demo: $2 does not say: $1"; exit 1; }
}
ROUTES=/sys/kernel/debug/lwtcls/routes

note "The kernel, and the module that it loads"
type uname -r
type insmod "$module"
type lsmod

note "The network: namespaces a and b, joined by a veth pair; b has the address 10.1.0.1"
# shellcheck source=tests/net.sh
. "$tests/net.sh"
type ip -n a route show
ping_as passes "$PING"

note "1. A program on a route: it sees each packet and returns a verdict"
note "   Before: a plain route. After: the same route with a program that passes packets; then with one that drops them."
type ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit via 10.0.0.2
ping_as passes "$PING"
type ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_drop.o section lwt_xmit via 10.0.0.2
type ip -n a route show
ping_as dropped "$PING"
note "   The route shows the name of the object and its section; this is the program."
type bpftool prog show

note "2. The other hooks: out before fragmentation, in where the packet arrives"
type ip -n a route replace 10.1.0.1 encap bpf out obj lwt_out_drop.o section lwt_out via 10.0.0.2
type ip -n a route show 10.1.0.1
ping_as dropped "$PING"
type ip -n a route replace 10.1.0.1 via 10.0.0.2
type ip -n b route replace table local local 10.1.0.1 encap bpf in obj lwt_in_drop.o section lwt_in dev lo
type ip -n b route show table local 10.1.0.1
ping_as dropped "$PING"
type ip -n b route replace table local local 10.1.0.1 dev lo
ping_as passes "$PING"

if [ -n "$tunnel" ]; then
	note "3. A tunnel without a device: the program encapsulates packets in GRE, and b decapsulates them"
	type ip -n b link add gre1 type gre local 10.0.0.2 remote 10.0.0.1
	type ip -n b link set gre1 up
	note "   Before: b's tunnel has received nothing."
	type ip -n b -s link show gre1
	type ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_gre.o section lwt_xmit headroom 24 via 10.0.0.2
	ping_as passes "$PING"
	note "   After: one packet."
	type ip -n b -s link show gre1
	ip -n b -j -s link show gre1 | grep -q '"rx":{[^}]*"packets":1,' || {
		echo "demo: the ping did not come through the tunnel"
		exit 1
	}

	type ip -n a route replace 10.1.0.1 via 10.0.0.2
fi

if [ -n "$actions" ]; then
	note "4. A filter on tc: egress, then ingress, where it is replaced in its place"
	type tc -n a qdisc add dev va clsact
	type tc -n a filter add dev va egress bpf da obj tc_shot.o sec tc
	type tc -n a filter show dev va egress
	ping_as dropped "$PING"
	type tc -n a filter del dev va egress
	type tc -n a filter add dev va ingress prio 1 handle 1 bpf da obj tc_shot.o sec tc
	ping_as dropped "$PING"
	type tc -n a filter replace dev va ingress prio 1 handle 1 bpf da obj tc_ok.o sec tc
	type tc -n a filter show dev va ingress
	ping_as passes "$PING"
fi

note "5. Statistics, enabled by a sysctl"
note "   Before: the filter and the route show no counts."
[ -z "$actions" ] || type tc -n a -s filter show dev va ingress
program=lwt_xmit_ok.o runs='runs 1'
[ -z "$tunnel" ] || program=lwt_xmit_gre.o runs='runs 1 reroute 1'
type ip -n a route replace 10.1.0.1 encap bpf xmit obj $program section lwt_xmit headroom 24 via 10.0.0.2
[ -z "$files" ] || type cat $ROUTES
type sysctl -w kernel.bpf_stats_enabled=1
ping_as passes "$PING"
note "   After: the ping's answer was a hit of the filter, the ping itself a run of the route's program."
if [ -n "$actions" ]; then
	type tc -n a -s filter show dev va ingress
	tc -n a -s filter show dev va ingress >/run/demo
	counts "Sent [0-9]* bytes [1-9]" /run/demo
fi
if [ -n "$files" ]; then
	type cat $ROUTES
	counts " xmit \"$program:\[lwt_xmit\]\" .* $runs" $ROUTES
fi
type sysctl -w kernel.bpf_stats_enabled=0
type ip -n a route replace 10.1.0.1 via 10.0.0.2

note "6. Refusals have an extack message, and the module cannot be unloaded while it is in use"
refused ip -n a route add 10.9.0.1 encap bpf xmit obj lwt_xmit_ok.o section lwt_xmit headroom 257 via 10.0.0.2
[ -z "$actions" ] || refused rmmod lwtcls
note "   Once the filter and the route are deleted, the module can be unloaded. No program is left."
[ -z "$actions" ] || type tc -n a qdisc del dev va clsact
type rmmod lwtcls
type bpftool prog show
echo
echo "demo: passed"
