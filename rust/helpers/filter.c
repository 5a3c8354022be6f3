// SPDX-License-Identifier: GPL-2.0-only

#include <linux/filter.h>

__lwtcls_helper struct bpf_net_context *
lwtcls_helper_bpf_net_ctx_set(struct bpf_net_context *bpf_net_ctx)
{
	return bpf_net_ctx_set(bpf_net_ctx);
}

__lwtcls_helper void
lwtcls_helper_bpf_net_ctx_clear(struct bpf_net_context *bpf_net_ctx)
{
	bpf_net_ctx_clear(bpf_net_ctx);
}

__lwtcls_helper u32 lwtcls_helper_bpf_prog_run(const struct bpf_prog *prog, const void *ctx)
{
	return bpf_prog_run(prog, ctx);
}

__lwtcls_helper void lwtcls_helper_cant_migrate(void)
{
	cant_migrate();
}

__lwtcls_helper unsigned int
lwtcls_helper_bpf_dispatcher_nop_func(const void *ctx, const struct bpf_insn *insnsi,
				      bpf_func_t bpf_func)
{
	return bpf_dispatcher_nop_func(ctx, insnsi, bpf_func);
}

__lwtcls_helper u32
lwtcls_helper___bpf_prog_run_save_cb(const struct bpf_prog *prog, struct sk_buff *skb)
{
	return __bpf_prog_run_save_cb(prog, skb);
}

__lwtcls_helper struct bpf_redirect_info *lwtcls_helper_bpf_net_ctx_get_ri(void)
{
	return bpf_net_ctx_get_ri();
}
