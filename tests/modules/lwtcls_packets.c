// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracks the packets of marked sockets from their creation until they are freed, so
 * that a test can account for each of them. A packet is identified by its address,
 * whatever happens to its data. If a free is missed, the packet is still listed at
 * the end, or its address is seen to be created again.
 *
 * The results are in <debugfs>/lwtcls_packets.
 */
#include <linux/debugfs.h>
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/tracepoint.h>
#include <net/dropreason.h>

static unsigned int mark;
module_param(mark, uint, 0400);
MODULE_PARM_DESC(mark, "SO_MARK of the sockets whose packets are followed");

struct packet {
	struct hlist_node node;
	const struct sk_buff *skb;
};

/* Where packets were freed, and why. SKB_CONSUMED: not dropped. */
struct end {
	unsigned long location;
	enum skb_drop_reason reason;
	unsigned long count;
};

/* Raw, because probes must not sleep on PREEMPT_RT; they must not allocate there either. */
static DEFINE_RAW_SPINLOCK(lock);
static DEFINE_HASHTABLE(packets, 12);
static struct packet room[8192];
static HLIST_HEAD(spare);
static struct end ends[256];
/* Packets that were created; that exist; that were created at the address of a tracked
 * one; and that could not be tracked, because @room or @ends was full.
 */
static unsigned long made, there, unseen, lost;

static struct packet *find(const struct sk_buff *skb)
{
	struct packet *packet;

	hash_for_each_possible(packets, packet, node, (unsigned long)skb)
		if (packet->skb == skb)
			return packet;
	return NULL;
}

static void begin(const struct sk_buff *skb)
{
	struct packet *packet;
	unsigned long flags;

	if (!mark || skb->mark != mark)
		return;
	raw_spin_lock_irqsave(&lock, flags);
	made++;
	if (find(skb)) {
		unseen++;
		goto out;
	}
	if (hlist_empty(&spare)) {
		lost++;
		goto out;
	}
	packet = hlist_entry(spare.first, struct packet, node);
	hlist_del(&packet->node);
	packet->skb = skb;
	hash_add(packets, &packet->node, (unsigned long)skb);
	there++;
out:
	raw_spin_unlock_irqrestore(&lock, flags);
}

static void count(unsigned long location, enum skb_drop_reason reason)
{
	struct end *end;

	for (end = ends; end < ends + ARRAY_SIZE(ends); end++) {
		if (!end->count) {
			end->location = location;
			end->reason = reason;
		}
		if (end->location == location && end->reason == reason) {
			end->count++;
			return;
		}
	}
	lost++;
}

static void finish(const struct sk_buff *skb, unsigned long location, enum skb_drop_reason reason)
{
	struct packet *packet;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	packet = find(skb);
	if (packet) {
		hash_del(&packet->node);
		hlist_add_head(&packet->node, &spare);
		there--;
		count(location, reason);
	}
	raw_spin_unlock_irqrestore(&lock, flags);
}

static void on_kfree_skb(void *unused, struct sk_buff *skb, void *location,
			 enum skb_drop_reason reason, struct sock *sk)
{
	finish(skb, (unsigned long)location, reason);
}

static void on_consume_skb(void *unused, struct sk_buff *skb, void *location)
{
	finish(skb, (unsigned long)location, SKB_CONSUMED);
}

/* Looked up by name, because consume_skb is not exported to modules. */
static struct {
	const char *name;
	void *probe;
	struct tracepoint *point;
} traced[] = {
	{ "kfree_skb", on_kfree_skb },
	{ "consume_skb", on_consume_skb },
};

static int on_ip_send_skb(struct kprobe *probe, struct pt_regs *regs)
{
	begin((struct sk_buff *)regs_get_kernel_argument(regs, 1));
	return 0;
}

static int on_ip6_send_skb(struct kprobe *probe, struct pt_regs *regs)
{
	begin((struct sk_buff *)regs_get_kernel_argument(regs, 0));
	return 0;
}

/* Returns the caller of the function that has just been entered. */
static unsigned long caller(struct pt_regs *regs)
{
#ifdef CONFIG_ARM64
	return procedure_link_pointer(regs);
#else
	return regs_get_kernel_stack_nth(regs, 0);
#endif
}

/* A socket frees packets that it has delivered to its reader without the tracepoint, or later. */
static int on_skb_attempt_defer_free(struct kprobe *probe, struct pt_regs *regs)
{
	finish((struct sk_buff *)regs_get_kernel_argument(regs, 0),
	       caller(regs), SKB_CONSUMED);
	return 0;
}

static struct kprobe probes[] = {
	{ .symbol_name = "ip_send_skb", .pre_handler = on_ip_send_skb },
	{ .symbol_name = "ip6_send_skb", .pre_handler = on_ip6_send_skb },
	{ .symbol_name = "skb_attempt_defer_free", .pre_handler = on_skb_attempt_defer_free },
};

static struct kprobe *const all_probes[] = { &probes[0], &probes[1], &probes[2] };

static void compare_name(struct tracepoint *point, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(traced); i++)
		if (!strcmp(point->name, traced[i].name))
			traced[i].point = point;
}

static const char *name_of(enum skb_drop_reason reason)
{
	unsigned int subsystem = reason >> SKB_DROP_REASON_SUBSYS_SHIFT;
	const struct drop_reason_list *list = NULL;

	if (subsystem < SKB_DROP_REASON_SUBSYS_NUM)
		list = rcu_dereference(drop_reasons_by_subsys[subsystem]);
	reason &= ~SKB_DROP_REASON_SUBSYS_MASK;
	if (!list || reason >= list->n_reasons || !list->reasons[reason])
		return "UNKNOWN";
	return list->reasons[reason];
}

static int packets_show(struct seq_file *file, void *unused)
{
	unsigned long missed = 0;
	const struct end *end;
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		missed += probes[i].nmissed;

	/* Under the lock the counters are consistent. */
	rcu_read_lock();
	raw_spin_lock_irq(&lock);
	seq_printf(file, "made %lu\nthere %lu\nunseen %lu\nlost %lu\nmissed %lu\n", made, there,
		   unseen, lost, missed);
	for (end = ends; end < ends + ARRAY_SIZE(ends) && end->count; end++)
		seq_printf(file, "%lu %s %ps\n", end->count, name_of(end->reason),
			   (void *)end->location);
	raw_spin_unlock_irq(&lock);
	rcu_read_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(packets);

static struct dentry *shown;

static void stop_tracing(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(traced); i++)
		if (traced[i].point)
			tracepoint_probe_unregister(traced[i].point, traced[i].probe, NULL);
	tracepoint_synchronize_unregister();
}

static int start_tracing(void)
{
	int i, err = 0;

	for_each_kernel_tracepoint(compare_name, NULL);
	for (i = 0; i < ARRAY_SIZE(traced); i++) {
		if (!err && !traced[i].point)
			err = -ENOENT;
		if (!err)
			err = tracepoint_probe_register(traced[i].point, traced[i].probe, NULL);
		if (err)
			traced[i].point = NULL;
	}
	if (err)
		stop_tracing();
	return err;
}

static int __init lwtcls_packets_init(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(room); i++)
		hlist_add_head(&room[i].node, &spare);
	/* The probes of the end of packets are registered first. */
	err = start_tracing();
	if (err)
		return err;
	err = register_kprobes((struct kprobe **)all_probes, ARRAY_SIZE(all_probes));
	if (err) {
		stop_tracing();
		return err;
	}
	shown = debugfs_create_file("lwtcls_packets", 0400, NULL, NULL, &packets_fops);
	return 0;
}

static void __exit lwtcls_packets_exit(void)
{
	debugfs_remove(shown);
	unregister_kprobes((struct kprobe **)all_probes, ARRAY_SIZE(all_probes));
	stop_tracing();
}

module_init(lwtcls_packets_init);
module_exit(lwtcls_packets_exit);

MODULE_DESCRIPTION("Follows packets to their end, for a test");
MODULE_LICENSE("GPL");
