# SPDX-License-Identifier: GPL-2.0-only
#
# Each target runs a script of scripts/. "make help" lists the targets.

.DEFAULT_GOAL := all

export GDB RECORD KDIR JOBS LWTCLS_CACHE LWTCLS_LINUX LWTCLS_MIRROR

##@ Use
demo: ## watch ip and tc put BPF programs into the path of packets, on Debian's own kernel
	@scripts/demo $(FLAVOUR)

shell: ## the same guest for your own hands: module loaded, namespaces a and b wired
	@scripts/shell $(FLAVOUR)

##@ Build
all: ## the modules, against the test kernel, or KDIR=a prepared Rust kernel tree
	@scripts/build-module

setup: ## only what the rest stands on: tools, kernel source, test kernel
	@scripts/setup-kernel test >/dev/null

samples: ## the programs and the loader of samples/, in build/samples
	@scripts/build-samples

deb: ## the Debian package lwtcls-dkms, in build/deb
	@scripts/deb

##@ Test
test: ## KUnit suites and scenarios in the guest; ARGS="-k word", ARGS=test_x.py, FLAVOUR=stock
	@scripts/test $(if $(FLAVOUR),--flavour $(FLAVOUR)) $(ARGS)

test-debug: ## the same on the debug kernel, and each allocation fails once
	@scripts/test --debug $(ARGS)

test-races: ## scenarios in which things meet, on a kernel that watches for data races
	@scripts/test --races $(ARGS)

planted: ## faults put into copies of the source, which those two have to find
	@scripts/planted

diff: ## the scenarios on lwtcls and on the C, and whether they see the same; ARGS as above
	@scripts/diff $(ARGS)

fuzz: ## 200,000 hostile requests to lwtcls and to the C; LWTCLS_FUZZ, LWTCLS_SEED, ARGS=--debug
	@scripts/fuzz $(ARGS)

bench: ## instructions for each packet and request, beside the C's; FLAVOUR=stock
	@scripts/bench $(FLAVOUR)

cycles: ## cycles and cache misses for each packet, beside the C's, where there is KVM
	@scripts/cycles $(FLAVOUR)

memory: ## bytes and instructions for each of 1,000,000 routes and 100,000 filters, beside the C's
	@scripts/memory

check-deb: ## the Debian package installed, used and purged on a fresh Debian in a guest
	@scripts/check-deb

lint: ## formatting, clippy, checkpatch, shellcheck, and the project's own rules
	@scripts/lint

##@ Read
doc: ## rustdoc of the source, private items too, in build/doc
	@scripts/doc

rust-analyzer: ## rust-project.json, for editors
	@scripts/rust-analyzer

unsafe: ## docs/unsafe.md: all unsafe code, and what makes it sound
	@scripts/unsafe-audit.py

##@ Clean
clean: ## what was built in this checkout
	rm -rf build

distclean: clean ## and the cache: tools, kernel source, kernels
	@scripts/clean-cache

help: ## this
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@printf '\nVariables: KDIR (kernel tree to build against), JOBS (parallel jobs),\n'
	@printf '  GDB=1 (make shell lets gdb attach), RECORD=1 (make test writes into README,\n'
	@printf '  make bench draws docs/cost.svg),\n'
	@printf '  FLAVOUR (a kernel of scripts/kernel/, for "make test", "demo", "shell" and "bench"),\n'
	@printf '  LWTCLS_CACHE (where tools and kernels are kept), LWTCLS_LINUX (another\n'
	@printf '  kernel source), LWTCLS_MIRROR (another Debian mirror)\n'

.PHONY: all bench check-deb clean cycles deb demo diff distclean doc fuzz help lint memory planted \
	rust-analyzer samples setup shell test test-debug test-races unsafe
