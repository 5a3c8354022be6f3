// SPDX-License-Identifier: GPL-2.0-only

#include <linux/cpumask.h>
#include <linux/percpu.h>

__lwtcls_helper u64 *lwtcls_helper___alloc_percpu_gfp(size_t size, size_t align,
						      gfp_t gfp)
{
	return (__force u64 *)__alloc_percpu_gfp(size, align, gfp);
}

__lwtcls_helper void lwtcls_helper_free_percpu(u64 *counters)
{
	free_percpu((u64 __force __percpu *)counters);
}

__lwtcls_helper u64 *lwtcls_helper_per_cpu_ptr(u64 *counters, unsigned int cpu)
{
	return per_cpu_ptr((u64 __force __percpu *)counters, cpu);
}

__lwtcls_helper void lwtcls_helper_this_cpu_add(u64 *counter, u64 amount)
{
	this_cpu_add(*(u64 __force __percpu *)counter, amount);
}

__lwtcls_helper unsigned int lwtcls_helper_cpumask_next_possible(int cpu)
{
	return cpumask_next(cpu, cpu_possible_mask);
}

__lwtcls_helper u64 *lwtcls_helper_this_cpu_ptr(u64 *address)
{
	return this_cpu_ptr((u64 __force __percpu *)address);
}

__lwtcls_helper u32 lwtcls_helper_this_cpu_cmpxchg(u32 *address, u32 old, u32 new)
{
	return this_cpu_cmpxchg(*(u32 __force __percpu *)address, old, new);
}
