# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Sourced by the shell of "make shell" at startup: loads the module, sets up the
# network, and prints a summary.

PS1='lwtcls# '
[ ! -e /run/lwtcls-shell ] || return 0
: >/run/lwtcls-shell
cmdline_param() { sed -n "s/.*lwtcls\\.$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline; }
lwtcls=$(cmdline_param checkout) build=$(cmdline_param build)
cd "$build/bpf" || return
stty rows 50 cols 150 2>/dev/null
# shellcheck source=tests/net.sh
. "$lwtcls/tests/net.sh"
insmod "$build/lwtcls.ko"
cat <<'EOS'

lwtcls is loaded. Namespaces a (10.0.0.1, fd00::1) and b (10.0.0.2, fd00::2) are joined by va and
vb; b answers for 10.1.0.1 and fd01::1 too. The sample programs are here (ls). Try:

  ip -n a route replace 10.1.0.1 encap bpf xmit obj lwt_xmit_drop.o section lwt_xmit via 10.0.0.2
  ip netns exec a ping 10.1.0.1
  tc -n a qdisc add dev va clsact
  tc -n a filter add dev va egress bpf da obj tc_shot.o sec tc
  tc -n a filter show dev va egress
  rmmod lwtcls

EOS
