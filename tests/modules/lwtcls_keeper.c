// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that accepts BPF filters and refuses to remove them.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/pkt_cls.h>

static LIST_HEAD(keeper_blocks);

static int keeper_block_cb(enum tc_setup_type type, void *type_data, void *cb_priv)
{
	struct tc_cls_bpf_offload *offload = type_data;

	if (type != TC_SETUP_CLSBPF || offload->command != TC_CLSBPF_OFFLOAD)
		return -EOPNOTSUPP;
	return offload->prog ? 0 : -EBUSY;
}

static int keeper_setup_tc(struct net_device *dev, enum tc_setup_type type, void *type_data)
{
	if (type != TC_SETUP_BLOCK)
		return -EOPNOTSUPP;
	return flow_block_cb_setup_simple(type_data, &keeper_blocks, keeper_block_cb,
					  dev, dev, true);
}

static netdev_tx_t keeper_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops keeper_ops = {
	.ndo_setup_tc = keeper_setup_tc,
	.ndo_start_xmit = keeper_start_xmit,
};

static void keeper_setup(struct net_device *dev)
{
	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &keeper_ops;
	dev->features |= NETIF_F_HW_TC;
	dev->hw_features |= NETIF_F_HW_TC;
}

static struct net_device *keeper;

static int __init keeper_init(void)
{
	int err;

	keeper = alloc_netdev(0, "keeper", NET_NAME_USER, keeper_setup);
	if (!keeper)
		return -ENOMEM;
	err = register_netdev(keeper);
	if (err)
		free_netdev(keeper);
	return err;
}

static void __exit keeper_exit(void)
{
	unregister_netdev(keeper);
	free_netdev(keeper);
}

module_init(keeper_init);
module_exit(keeper_exit);

MODULE_DESCRIPTION("A device that keeps its BPF filters, for a test");
MODULE_LICENSE("GPL");
