// SPDX-License-Identifier: GPL-2.0-only

#include <linux/ipv6.h>
#include <net/inet_sock.h>

__lwtcls_helper struct net *lwtcls_helper_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

/*
 * Returns the number, not a kuid_t: on arm64 clang and rustc return a struct in the
 * same register, but by another type, and a call of another type is not inlined.
 */
__lwtcls_helper uid_t
lwtcls_helper_sock_net_uid(const struct net *net, const struct sock *sk)
{
	return __kuid_val(sock_net_uid(net, sk));
}

__lwtcls_helper int lwtcls_helper_sk_bound_dev_if(const struct sock *sk)
{
	return READ_ONCE(sk->sk_bound_dev_if);
}

__lwtcls_helper struct sock *lwtcls_helper_sk_to_full_sk(struct sock *sk)
{
	return sk_to_full_sk(sk);
}

__lwtcls_helper struct ipv6_pinfo *lwtcls_helper_inet6_sk(const struct sock *sk)
{
	return inet6_sk(sk);
}
