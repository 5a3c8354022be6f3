// SPDX-License-Identifier: GPL-2.0-only
/*
 * A QEMU plugin that counts by address which instructions the guest executes.
 *
 *   -plugin count.so,out=FILE
 *
 * For each window, FILE has lines of four numbers: the window, the address of a run of
 * instructions (hexadecimal), its length in instructions, and how often it was executed.
 */
#include "plugin.h"

/* Runs of instructions translated so far, hashed by address and length. */
#define ROWS 0x100000u
static struct {
	uint64_t address, insns;
} rows[ROWS];
static unsigned int used;
static struct qemu_plugin_scoreboard *score;
static FILE *out;
static unsigned int window;

/* Runs executed less often do not belong to packets. */
#define SELDOM 5

static void mark(unsigned int cpu, void *next)
{
	unsigned int i, cpus = qemu_plugin_num_vcpus();
	uint64_t times;

	for (i = 0; window && i < ROWS; i++) {
		for (cpu = 0, times = 0; cpu < cpus; cpu++)
			times += ((uint64_t *)qemu_plugin_scoreboard_find(score, cpu))[i];
		if (times >= SELDOM)
			fprintf(out, "%u %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", window,
				rows[i].address, rows[i].insns, times);
	}
	fflush(out);
	for (cpu = 0; cpu < cpus; cpu++)
		memset(qemu_plugin_scoreboard_find(score, cpu), 0, ROWS * sizeof(times));
	window = (uintptr_t)next;
}

static unsigned int row_of(uint64_t address, uint64_t insns)
{
	unsigned int at = (address * 0x9e3779b97f4a7c15u + insns * 0x85ebca6bu) >> 40 & (ROWS - 1);

	while (rows[at].insns && (rows[at].address != address || rows[at].insns != insns))
		at = (at + 1) & (ROWS - 1);
	if (!rows[at].insns && ++used == ROWS) {
		fputs("count: more code than there is room for\n", stderr);
		__builtin_trap();
	}
	rows[at].address = address;
	rows[at].insns = insns;
	return at;
}

/* QEMU serialises these calls. */
static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t insns = qemu_plugin_tb_n_insns(tb), i;
	unsigned int row = row_of(qemu_plugin_tb_vaddr(tb), insns);
	struct counter counter = { score, row * sizeof(uint64_t) };

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD_U64, counter, 1);
	for (i = 0; i < insns; i++)
		watch_marks(qemu_plugin_tb_get_insn(tb, i), mark);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	out = open_output(argc, argv);
	score = qemu_plugin_scoreboard_new(ROWS * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return out ? 0 : -1;
}
