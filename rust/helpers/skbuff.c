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

__lwtcls_helper void lwtcls_helper_kfree_skb_reason(struct sk_buff *skb,
						    enum skb_drop_reason reason)
{
	kfree_skb_reason(skb, reason);
}

__lwtcls_helper struct dst_entry *lwtcls_helper_skb_dst(const struct sk_buff *skb)
{
	return skb_dst(skb);
}

__lwtcls_helper unsigned int lwtcls_helper_skb_headroom(const struct sk_buff *skb)
{
	return skb_headroom(skb);
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

__lwtcls_helper void lwtcls_helper_skb_reset_mac_header(struct sk_buff *skb)
{
	skb_reset_mac_header(skb);
}
