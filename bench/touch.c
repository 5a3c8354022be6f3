// SPDX-License-Identifier: GPL-2.0-only
/*
 * A QEMU plugin that measures packet costs other than instruction counts.
 *
 *   -plugin touch.so,out=FILE,packet=ADDRESS
 *
 * A packet lasts from one execution of the instruction at ADDRESS (hexadecimal) on CPU 0
 * to the next. For each window, FILE has a line of five numbers: the window, and the
 * medians over its packets of
 *
 *   - code cache lines executed,
 *   - data cache lines read or written,
 *   - branches taken,
 *   - locked instructions.
 */
#include <stdlib.h>
#include "plugin.h"

#define LINE 64
#define KERNEL 0x8000000000000000u

enum { CODE, DATA, BRANCHES, LOCKED, NUMBERS };

/* A translation block. It executes as a whole, unless it faults. */
struct block {
	uint64_t start, last, end;
};

/* Cache lines of the current packet, hashed. A slot with another packet number is free. */
#define SLOTS 0x10000u
static struct {
	uint64_t line[SLOTS];
	unsigned int packet[SLOTS];
} seen[DATA + 1];

#define PACKETS 0x1000u
static unsigned int packets[NUMBERS][PACKETS], so_far[NUMBERS], count, packet;
static const struct block *before;
static uint64_t begins;
static FILE *out;
static unsigned int window;

static int by_size(const void *a, const void *b)
{
	return (int)*(const unsigned int *)a - (int)*(const unsigned int *)b;
}

static void mark(unsigned int cpu, void *next)
{
	unsigned int i;

	if (window && count) {
		fprintf(out, "%u", window);
		for (i = 0; i < NUMBERS; i++) {
			qsort(packets[i], count, sizeof(packets[i][0]), by_size);
			fprintf(out, " %u", packets[i][count / 2]);
		}
		fputs("\n", out);
		fflush(out);
	}
	count = 0;
	packet = 0;
	window = (uintptr_t)next;
}

static void see(int what, uint64_t line)
{
	unsigned int at = line * 0x9e3779b97f4a7c15u >> 40 & (SLOTS - 1);

	while (seen[what].packet[at] == packet) {
		if (seen[what].line[at] == line)
			return;
		at = (at + 1) & (SLOTS - 1);
	}
	seen[what].packet[at] = packet;
	seen[what].line[at] = line;
	if (++so_far[what] == SLOTS / 2) {
		fputs("touch: a packet that sees more than there is room for\n", stderr);
		__builtin_trap();
	}
}

static void next_packet(void)
{
	static unsigned int last;
	int i;

	if (packet && count < PACKETS) {
		for (i = 0; i < NUMBERS; i++)
			packets[i][count] = so_far[i];
		count++;
	}
	memset(so_far, 0, sizeof(so_far));
	packet = ++last;
}

static void executed(unsigned int cpu, void *data)
{
	const struct block *block = data;
	uint64_t line;

	if (cpu || !window)
		return;
	if (block->start == begins)
		next_packet();
	if (!packet)
		return;
	/* QEMU re-enters a REP instruction at its own address: no branch of the guest. */
	if (before && block->start != before->end && block->start != before->last)
		so_far[BRANCHES]++;
	before = block;
	for (line = block->start / LINE; line <= (block->end - 1) / LINE; line++)
		see(CODE, line);
}

static void accessed(unsigned int cpu, uint32_t info, uint64_t address, void *data)
{
	if (!cpu && window && packet && address & KERNEL)
		see(DATA, address / LINE);
}

static void locked(unsigned int cpu, void *data)
{
	if (!cpu && window && packet)
		so_far[LOCKED]++;
}

/* Whether it has a lock prefix, or is an XCHG with memory, which locks without one. */
static bool locks(struct qemu_plugin_insn *insn)
{
	static const unsigned char prefixes[] = {
		0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0xf2, 0xf3
	};
	unsigned char code[16] = { 0 };
	unsigned int i = 0;

	qemu_plugin_insn_data(insn, code, sizeof(code));
	while (memchr(prefixes, code[i], sizeof(prefixes)))
		i++;
	if (code[i] == 0xf0)
		return true;
	if (code[i] >> 4 == 4)
		i++;
	return (code[i] == 0x86 || code[i] == 0x87) && code[i + 1] >> 6 != 3;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t insns = qemu_plugin_tb_n_insns(tb), i;
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, insns - 1);
	struct block *block;

	if (!(qemu_plugin_tb_vaddr(tb) & KERNEL)) {
		for (i = 0; i < insns; i++)
			watch_marks(qemu_plugin_tb_get_insn(tb, i), mark);
		return;
	}
	/* Never freed: QEMU may use the translation until it exits. */
	block = malloc(sizeof(*block));
	if (!block)
		__builtin_trap();
	block->start = qemu_plugin_tb_vaddr(tb);
	block->last = qemu_plugin_insn_vaddr(insn);
	block->end = block->last + qemu_plugin_insn_size(insn);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGISTERS, block);
	for (i = 0; i < insns; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGISTERS,
						 MEM_READ | MEM_WRITE, NULL);
		if (locks(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, locked, NO_REGISTERS, NULL);
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	if (argc != 2 || strncmp(argv[1], "packet=", 7))
		return -1;
	begins = strtoull(argv[1] + 7, NULL, 16);
	out = open_output(1, argv);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return out && begins ? 0 : -1;
}
