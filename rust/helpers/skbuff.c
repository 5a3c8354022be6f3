// SPDX-License-Identifier: GPL-2.0-only

#include <linux/skbuff.h>

__lwtcls_helper void *lwtcls_helper___skb_push(struct sk_buff *skb, unsigned int len)
{
	return __skb_push(skb, len);
}

__lwtcls_helper void *lwtcls_helper___skb_pull(struct sk_buff *skb, unsigned int len)
{
	return __skb_pull(skb, len);
}

__lwtcls_helper struct sk_buff *
lwtcls_helper_alloc_skb(unsigned int size, gfp_t priority)
{
	return alloc_skb(size, priority);
}

/* An inline function without CONFIG_TRACEPOINTS. */
__lwtcls_helper void lwtcls_helper_consume_skb(struct sk_buff *skb)
{
	consume_skb(skb);
}

__lwtcls_helper struct sk_buff *lwtcls_helper_skb_get(struct sk_buff *skb)
{
	return skb_get(skb);
}

__lwtcls_helper void *lwtcls_helper_skb_put(struct sk_buff *skb, unsigned int len)
{
	return skb_put(skb, len);
}

__lwtcls_helper void lwtcls_helper_skb_reserve(struct sk_buff *skb, int len)
{
	skb_reserve(skb, len);
}

__lwtcls_helper int
lwtcls_helper_skb_cow_head(struct sk_buff *skb, unsigned int headroom)
{
	return skb_cow_head(skb, headroom);
}

__lwtcls_helper unsigned char *
lwtcls_helper_skb_mac_header(const struct sk_buff *skb)
{
	return skb_mac_header(skb);
}

__lwtcls_helper void lwtcls_helper_skb_pop_mac_header(struct sk_buff *skb)
{
	skb_pop_mac_header(skb);
}

__lwtcls_helper void
lwtcls_helper_skb_postpull_rcsum(struct sk_buff *skb, const void *start,
				 unsigned int len)
{
	skb_postpull_rcsum(skb, start, len);
}

__lwtcls_helper void
lwtcls_helper_skb_postpush_rcsum(struct sk_buff *skb, const void *start,
				 unsigned int len)
{
	skb_postpush_rcsum(skb, start, len);
}

__lwtcls_helper void lwtcls_helper_skb_reset_mac_len(struct sk_buff *skb)
{
	skb_reset_mac_len(skb);
}

__lwtcls_helper void lwtcls_helper_skb_clear_tstamp(struct sk_buff *skb)
{
	skb_clear_tstamp(skb);
}

__lwtcls_helper void
lwtcls_helper_skb_set_redirected_noclear(struct sk_buff *skb, bool from_ingress)
{
	skb_set_redirected_noclear(skb, from_ingress);
}

__lwtcls_helper void lwtcls_helper_skb_reset_network_header(struct sk_buff *skb)
{
	skb_reset_network_header(skb);
}

__lwtcls_helper void
lwtcls_helper_skb_set_transport_header(struct sk_buff *skb, const int offset)
{
	skb_set_transport_header(skb, offset);
}
