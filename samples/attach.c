// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads a BPF program with libbpf and attaches it to a route or to a device:
 *
 *	gcc -O2 attach.c -lbpf -o attach
 *	./attach route OBJECT PREFIX DEVICE [--via GATEWAY] [--headroom N]
 *	./attach filter OBJECT DEVICE ingress|egress
 *
 *	./attach route lwt_xmit_vxlan.o 10.1.0.0/16 eth0 --headroom 50
 *	./attach filter tc_police.o eth0 ingress
 *
 * The first program of the object is attached. On a route it goes to the hook of its type
 * (in, out or xmit), by a netlink request, because libbpf has no function for that. A
 * filter is direct-action, with priority 1 and handle 1, on clsact, which is added if
 * missing. Either replaces an existing one. The route or filter holds a reference to the
 * program until "ip route del" or "tc filter del", so this process can exit at once.
 */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <linux/lwtunnel.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct option options[] = {
	{ "via", required_argument, NULL, 'v' },
	{ "headroom", required_argument, NULL, 'h' },
	{ }
};

struct request {
	struct nlmsghdr head;
	struct rtmsg route;
	char attributes[512];
};

static void help(void)
{
	errx(2, "usage: attach route OBJECT PREFIX DEVICE [--via GATEWAY] [--headroom N]\n"
	     "       attach filter OBJECT DEVICE ingress|egress");
}

static struct bpf_program *load(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;

	if (!object)
		err(1, "%s", path);
	program = bpf_object__next_program(object, NULL);
	if (!program)
		errx(1, "%s: no program", path);
	if (bpf_object__load(object))
		err(1, "%s", path);
	return program;
}

static unsigned int device(const char *name)
{
	unsigned int ifindex = if_nametoindex(name);

	if (!ifindex)
		err(1, "%s", name);
	return ifindex;
}

static struct rtattr *put(struct request *request, unsigned short type,
			  const void *data, size_t length)
{
	size_t at = NLMSG_ALIGN(request->head.nlmsg_len);
	struct rtattr *attribute = (struct rtattr *)((char *)request + at);

	if (at + RTA_SPACE(length) > sizeof(*request))
		errx(1, "the request is too long");
	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(length);
	if (length)
		memcpy(RTA_DATA(attribute), data, length);
	request->head.nlmsg_len = at + attribute->rta_len;
	return attribute;
}

/* Closes a nested attribute: everything put since then is inside. */
static void end(struct request *request, struct rtattr *nest)
{
	nest->rta_len = (char *)request + request->head.nlmsg_len - (char *)nest;
}

/* Parses an address and returns its family. */
static int parse_address(const char *text, void *to)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, to) != 1)
		errx(1, "no address: %s", text);
	return family;
}

static size_t address_length(int family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

static void put_prefix(struct request *request, char *prefix)
{
	char *length = strchr(prefix, '/'), *rest = "";
	unsigned long bits, most;
	struct in6_addr to;

	if (length)
		*length++ = '\0';
	request->route.rtm_family = parse_address(prefix, &to);
	most = 8 * address_length(request->route.rtm_family);
	bits = length ? strtoul(length, &rest, 10) : most;
	if (*rest || bits > most)
		errx(1, "no prefix length: %s", length);
	request->route.rtm_dst_len = bits;
	put(request, RTA_DST, &to, address_length(request->route.rtm_family));
}

static void put_gateway(struct request *request, const char *gateway)
{
	struct in6_addr to;

	if (parse_address(gateway, &to) != request->route.rtm_family)
		errx(1, "a gateway of another family: %s", gateway);
	put(request, RTA_GATEWAY, &to, address_length(request->route.rtm_family));
}

static unsigned short hook_of(const struct bpf_program *program)
{
	switch (bpf_program__type(program)) {
	case BPF_PROG_TYPE_LWT_IN:
		return LWT_BPF_IN;
	case BPF_PROG_TYPE_LWT_OUT:
		return LWT_BPF_OUT;
	case BPF_PROG_TYPE_LWT_XMIT:
		return LWT_BPF_XMIT;
	default:
		errx(1, "%s is no program for a route", bpf_program__name(program));
	}
}

static void put_program(struct request *request, const struct bpf_program *program,
			__u32 headroom)
{
	const __u16 type = LWTUNNEL_ENCAP_BPF;
	const char *name = bpf_program__name(program);
	int fd = bpf_program__fd(program);
	struct rtattr *encap, *hook;

	put(request, RTA_ENCAP_TYPE, &type, sizeof(type));
	encap = put(request, RTA_ENCAP | NLA_F_NESTED, NULL, 0);
	hook = put(request, hook_of(program) | NLA_F_NESTED, NULL, 0);
	put(request, LWT_BPF_PROG_FD, &fd, sizeof(fd));
	put(request, LWT_BPF_PROG_NAME, name, strlen(name) + 1);
	end(request, hook);
	if (headroom)
		put(request, LWT_BPF_XMIT_HEADROOM, &headroom, sizeof(headroom));
	end(request, encap);
}

/* The extack message of an error; empty if there is none. */
static const char *reason(const struct nlmsghdr *head)
{
	const struct nlmsgerr *answer = NLMSG_DATA(head);
	const struct rtattr *attribute;
	size_t offset = NLMSG_LENGTH(sizeof(*answer));
	int left;

	if (!(head->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	/* The attributes follow the request, whose payload the kernel may omit. */
	if (!(head->nlmsg_flags & NLM_F_CAPPED))
		offset += NLMSG_ALIGN(answer->msg.nlmsg_len - sizeof(answer->msg));
	attribute = (const struct rtattr *)((const char *)head + offset);
	for (left = head->nlmsg_len - offset; RTA_OK(attribute, left);
	     attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == NLMSGERR_ATTR_MSG)
			return RTA_DATA(attribute);
	}
	return "";
}

static void talk(const struct request *request)
{
	static union {
		struct nlmsghdr head;
		char room[8192];
	} answer;
	const struct nlmsgerr *result = NLMSG_DATA(&answer.head);
	const char *said;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), yes = 1;

	if (fd < 0)
		err(1, "netlink");
	/* Without this the kernel sends the errno only. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof(yes));
	if (send(fd, request, request->head.nlmsg_len, 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(*result)))
		err(1, "netlink");
	close(fd);
	if (result->error) {
		errno = -result->error;
		said = reason(&answer.head);
		err(1, "the kernel refuses%s%s", *said ? ": " : "", said);
	}
}

static void add_route(const struct bpf_program *program, char *prefix, unsigned int ifindex,
		      const char *gateway, __u32 headroom)
{
	struct request request = {
		.head = {
			.nlmsg_len = NLMSG_LENGTH(sizeof(request.route)),
			.nlmsg_type = RTM_NEWROUTE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
		},
		.route = {
			.rtm_table = RT_TABLE_MAIN,
			.rtm_protocol = RTPROT_STATIC,
			.rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			.rtm_type = RTN_UNICAST,
		},
	};

	put_prefix(&request, prefix);
	put(&request, RTA_OIF, &ifindex, sizeof(ifindex));
	if (gateway)
		put_gateway(&request, gateway);
	put_program(&request, program, headroom);
	talk(&request);
}

static void add_filter(const struct bpf_program *program, unsigned int ifindex, const char *where)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .flags = BPF_TC_F_REPLACE,
		    .prog_fd = bpf_program__fd(program));
	libbpf_print_fn_t print;
	int error;

	if (!strcmp(where, "ingress"))
		hook.attach_point = BPF_TC_INGRESS;
	else if (!strcmp(where, "egress"))
		hook.attach_point = BPF_TC_EGRESS;
	else
		help();

	/* Do not print that clsact exists already. */
	print = libbpf_set_print(NULL);
	error = bpf_tc_hook_create(&hook);
	libbpf_set_print(print);
	if (error && error != -EEXIST) {
		errno = -error;
		err(1, "clsact");
	}
	if (bpf_tc_attach(&hook, &opts))
		err(1, "filter");
}

int main(int argc, char **argv)
{
	const char *gateway = NULL;
	__u32 headroom = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'v':
			gateway = optarg;
			break;
		case 'h':
			headroom = strtoul(optarg, NULL, 0);
			break;
		default:
			help();
		}
	}
	argv += optind;
	if (argc - optind != 4)
		help();
	if (!strcmp(argv[0], "route"))
		add_route(load(argv[1]), argv[2], device(argv[3]), gateway, headroom);
	else if (!strcmp(argv[0], "filter"))
		add_filter(load(argv[1]), device(argv[2]), argv[3]);
	else
		help();
	return 0;
}
