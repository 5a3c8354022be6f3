// SPDX-License-Identifier: GPL-2.0-only
/*
 * A QEMU plugin that records which cache lines the guest's kernel reads and writes, by
 * which instruction, and on which CPU.
 *
 *   -plugin lines.so,out=FILE
 *
 * For each window, FILE has lines of four numbers, hexadecimal except for the first: the
 * window; the CPU times 2, plus 1 for a write; the address of the cache line; the address
 * of the instruction.
 */
#include <pthread.h>
#include "plugin.h"

#define LINE 64
#define KERNEL 0x8000000000000000u

/* Accesses in this window, hashed. "line" has the CPU and the direction in its low bits. */
#define ACCESSES 0x400000u
static struct access {
	uint64_t line, insn;
} accesses[ACCESSES];
static unsigned int used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;
static unsigned int window;

static void mark(unsigned int cpu, void *next)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; window && i < ACCESSES; i++)
		if (accesses[i].insn)
			fprintf(out, "%u %x %" PRIx64 " %" PRIx64 "\n", window,
				(unsigned int)(accesses[i].line % LINE),
				accesses[i].line / LINE * LINE, accesses[i].insn);
	fflush(out);
	memset(accesses, 0, sizeof(accesses));
	used = 0;
	window = (uintptr_t)next;
	pthread_mutex_unlock(&lock);
}

static void accessed(unsigned int cpu, uint32_t info, uint64_t address, void *data)
{
	uint64_t insn = (uintptr_t)data;
	uint64_t line = address / LINE * LINE | cpu << 1 | qemu_plugin_mem_is_store(info);
	unsigned int at;

	if (!window || !(address & KERNEL))
		return;
	at = (line * 0x9e3779b97f4a7c15u ^ insn * 0xc2b2ae3d27d4eb4fu) >> 40 & (ACCESSES - 1);
	pthread_mutex_lock(&lock);
	while (accesses[at].insn && (accesses[at].line != line || accesses[at].insn != insn))
		at = (at + 1) & (ACCESSES - 1);
	if (!accesses[at].insn && ++used == ACCESSES) {
		fputs("lines: more accesses than there is room for\n", stderr);
		__builtin_trap();
	}
	accesses[at] = (struct access){ line, insn };
	pthread_mutex_unlock(&lock);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t insns = qemu_plugin_tb_n_insns(tb), i;

	for (i = 0; i < insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);

		if (address & KERNEL)
			qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGISTERS,
							 MEM_READ | MEM_WRITE,
							 (void *)(uintptr_t)address);
		else
			watch_marks(insn, mark);
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	out = open_output(argc, argv);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return out ? 0 : -1;
}
