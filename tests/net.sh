# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The network of demo and shell: namespaces a and b, joined by a veth pair; b has
# the service addresses 10.1.0.1 and fd01::1, to which a has routes.

ip netns add a
ip netns add b
ip link add va netns a type veth peer name vb netns b
ip -n a link set lo up
ip -n b link set lo up
ip -n a addr add 10.0.0.1/24 dev va
ip -n b addr add 10.0.0.2/24 dev vb
ip -n a link set va up
ip -n b link set vb up
ip -n b addr add 10.1.0.1/32 dev lo
ip -n a route add 10.1.0.1 via 10.0.0.2
if [ -e /proc/net/if_inet6 ]; then
	ip -n a addr add fd00::1/64 dev va nodad
	ip -n b addr add fd00::2/64 dev vb nodad
	ip -n b addr add fd01::1/128 dev lo nodad
	ip -n a route add fd01::1 via fd00::2
fi
