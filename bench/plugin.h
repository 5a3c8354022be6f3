/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of QEMU's plugin API that is used here. QEMU's packages do not include its
 * header.
 *
 * The guest marks windows of its instructions: it executes a no-op that encodes the number
 * of a window, see mark() in counting.py. 0 ends a window.
 */
#ifndef BENCH_PLUGIN_H
#define BENCH_PLUGIN_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

struct counter {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

enum { INLINE_ADD_U64 };
enum { NO_REGISTERS };
enum { MEM_READ = 1, MEM_WRITE = 2 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t at);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
int qemu_plugin_num_vcpus(void);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int cpu);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, int op,
						       struct counter counter, uint64_t add);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int cpu, void *data), int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int cpu, void *data), int flags,
					    void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*cb)(unsigned int cpu, uint32_t info, uint64_t address,
						 void *data),
				      int flags, int kinds, void *data);
bool qemu_plugin_mem_is_store(uint32_t info);

EXPORT int qemu_plugin_version = 4;

/* Registers "cb" to be called with the number of a window wherever the guest marks one. */
static inline void watch_marks(struct qemu_plugin_insn *insn,
			       void (*cb)(unsigned int cpu, void *window))
{
	/* nopl NUMBER + 0x6c770000(%rax) */
	static const unsigned char nop[] = { 0x0f, 0x1f, 0x80 }, mine[] = { 0x77, 0x6c };
	unsigned char code[16];

	if (qemu_plugin_insn_data(insn, code, sizeof(code)) == 7 &&
	    !memcmp(code, nop, sizeof(nop)) && !memcmp(code + 5, mine, sizeof(mine)))
		qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, NO_REGISTERS,
						       (void *)(uintptr_t)(code[3] | code[4] << 8));
}

/* Opens FILE of the argument "out=FILE". */
static inline FILE *open_output(int argc, char **argv)
{
	return argc == 1 && !strncmp(argv[0], "out=", 4) ? fopen(argv[0] + 4, "w") : NULL;
}

#endif
