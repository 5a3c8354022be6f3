// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that accepts BPF filters and refuses to remove them.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/pkt_cls.h>

static LIST_HEAD(no_unoffload_blocks);

static int no_unoffload_block_cb(enum tc_setup_type type, void *type_data, void *cb_priv)
{
	struct tc_cls_bpf_offload *offload = type_data;

	if (type != TC_SETUP_CLSBPF || offload->command != TC_CLSBPF_OFFLOAD)
		return -EOPNOTSUPP;
	return offload->prog ? 0 : -EBUSY;
}

static int no_unoffload_setup_tc(struct net_device *dev, enum tc_setup_type type, void *type_data)
{
	if (type != TC_SETUP_BLOCK)
		return -EOPNOTSUPP;
	return flow_block_cb_setup_simple(type_data, &no_unoffload_blocks, no_unoffload_block_cb,
					  dev, dev, true);
}

static netdev_tx_t no_unoffload_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops no_unoffload_ops = {
	.ndo_setup_tc = no_unoffload_setup_tc,
	.ndo_start_xmit = no_unoffload_start_xmit,
};

static void no_unoffload_setup(struct net_device *dev)
{
	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &no_unoffload_ops;
	dev->features |= NETIF_F_HW_TC;
	dev->hw_features |= NETIF_F_HW_TC;
}

static struct net_device *no_unoffload;

static int __init no_unoffload_init(void)
{
	int err;

	no_unoffload = alloc_netdev(0, "no_unoffload", NET_NAME_USER, no_unoffload_setup);
	if (!no_unoffload)
		return -ENOMEM;
	err = register_netdev(no_unoffload);
	if (err)
		free_netdev(no_unoffload);
	return err;
}

static void __exit no_unoffload_exit(void)
{
	unregister_netdev(no_unoffload);
	free_netdev(no_unoffload);
}

module_init(no_unoffload_init);
module_exit(no_unoffload_exit);

MODULE_DESCRIPTION("A device that refuses to remove BPF filters, for a test");
MODULE_LICENSE("GPL");
