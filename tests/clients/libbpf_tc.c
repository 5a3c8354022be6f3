// SPDX-License-Identifier: GPL-2.0-only
/*
 * libbpf_tc IFNAME { VERB { NAME=VALUE } }: calls libbpf's tc functions in order,
 * and prints a JSON list of their results in one line.
 *
 *   VERB    create, attach, query, detach or destroy
 *   hook    1 ingress, 2 egress, 4 custom, or a sum of them
 *   parent  of a custom hook
 *   object  the file with the program to attach
 *   fd, id, flags, handle, priority: as in struct bpf_tc_opts
 *
 * Errors of libbpf or the kernel are results. libbpf prints the kernel's extack
 * messages to standard error.
 */
#include <bpf/libbpf.h>
#include <err.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct step {
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
};

static int do_create(struct step *step)
{
	return bpf_tc_hook_create(&step->hook);
}

static int do_attach(struct step *step)
{
	return bpf_tc_attach(&step->hook, &step->opts);
}

static int do_query(struct step *step)
{
	return bpf_tc_query(&step->hook, &step->opts);
}

static int do_detach(struct step *step)
{
	return bpf_tc_detach(&step->hook, &step->opts);
}

static int do_destroy(struct step *step)
{
	return bpf_tc_hook_destroy(&step->hook);
}

static const struct {
	const char *name;
	int (*run)(struct step *step);
} verbs[] = {
	{ "create", do_create },
	{ "attach", do_attach },
	{ "query", do_query },
	{ "detach", do_detach },
	{ "destroy", do_destroy },
	{ }
};

/* The program stays open until the process exits; a filter holds its own reference. */
static int load(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);

	if (!object || bpf_object__load(object))
		err(1, "%s", path);
	return bpf_program__fd(bpf_object__next_program(object, NULL));
}

static void assign(struct step *step, const char *word)
{
	const char *value = strchr(word, '=');
	const struct {
		const char *name;
		__u32 *where;
	} numbers[] = {
		{ "parent", &step->hook.parent },
		{ "fd", (__u32 *)&step->opts.prog_fd },
		{ "flags", &step->opts.flags },
		{ "id", &step->opts.prog_id },
		{ "handle", &step->opts.handle },
		{ "priority", &step->opts.priority },
		{ }
	};
	size_t length, i;

	if (!value)
		errx(1, "neither a verb nor NAME=VALUE: %s", word);
	length = value++ - word;

	if (length == strlen("hook") && !strncmp(word, "hook", length)) {
		step->hook.attach_point = strtoul(value, NULL, 0);
		return;
	}
	if (length == strlen("object") && !strncmp(word, "object", length)) {
		step->opts.prog_fd = load(value);
		return;
	}
	for (i = 0; numbers[i].name; i++) {
		if (length == strlen(numbers[i].name) &&
		    !strncmp(word, numbers[i].name, length)) {
			*numbers[i].where = strtoul(value, NULL, 0);
			return;
		}
	}
	errx(1, "there is no such thing to set: %s", word);
}

static int (*find(const char *word))(struct step *step)
{
	size_t i;

	for (i = 0; verbs[i].name; i++) {
		if (!strcmp(word, verbs[i].name))
			return verbs[i].run;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int (*run)(struct step *step);
	int ifindex, i = 2;

	if (argc < 3)
		errx(1, "usage: libbpf_tc IFNAME { VERB { NAME=VALUE } }");
	/* 0 for a device that does not exist, which is tested too. */
	ifindex = if_nametoindex(argv[1]);

	printf("[");
	while (i < argc) {
		struct step step;
		int error;

		/* libbpf refuses structs whose padding is not zero. */
		memset(&step, 0, sizeof(step));
		step.hook.sz = sizeof(step.hook);
		step.hook.ifindex = ifindex;
		step.opts.sz = sizeof(step.opts);

		run = find(argv[i]);
		if (!run)
			errx(1, "no verb: %s", argv[i]);
		printf("%s", i > 2 ? ", " : "");
		for (i++; i < argc && !find(argv[i]); i++)
			assign(&step, argv[i]);

		error = -run(&step);
		printf("{\"error\": %d, \"handle\": %u, \"priority\": %u, \"prog_id\": %u}",
		       error, step.opts.handle, step.opts.priority, step.opts.prog_id);
	}
	printf("]\n");
	return 0;
}
