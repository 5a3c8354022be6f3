// SPDX-License-Identifier: GPL-2.0-only

#include <linux/cpumask.h>
#include <linux/percpu.h>

/*
 * On x86, __percpu is an address space of GCC 14 and newer, which warn about a
 * direct cast from or to one, but not through an integer.
 */
static __always_inline void __percpu *to_percpu(void *address)
{
	return (void __percpu *)(unsigned long)address;
}

__lwtcls_helper u64 *lwtcls_helper___alloc_percpu_gfp(size_t size, size_t align,
						      gfp_t gfp)
{
	return (u64 *)(__force unsigned long)__alloc_percpu_gfp(size, align, gfp);
}

__lwtcls_helper void lwtcls_helper_free_percpu(u64 *counters)
{
	free_percpu(to_percpu(counters));
}

__lwtcls_helper u64 *lwtcls_helper_per_cpu_ptr(u64 *counters, unsigned int cpu)
{
	return per_cpu_ptr((u64 __percpu *)to_percpu(counters), cpu);
}

__lwtcls_helper void lwtcls_helper_this_cpu_add(u64 *counter, u64 amount)
{
	this_cpu_add(*(u64 __percpu *)to_percpu(counter), amount);
}

__lwtcls_helper unsigned int lwtcls_helper_cpumask_next_possible(int cpu)
{
	return cpumask_next(cpu, cpu_possible_mask);
}

__lwtcls_helper u64 *lwtcls_helper_this_cpu_ptr(u64 *address)
{
	return this_cpu_ptr((u64 __percpu *)to_percpu(address));
}

__lwtcls_helper u32 lwtcls_helper_this_cpu_cmpxchg(u32 *address, u32 old, u32 new)
{
	return this_cpu_cmpxchg(*(u32 __percpu *)to_percpu(address), old, new);
}
