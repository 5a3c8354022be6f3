# SPDX-License-Identifier: GPL-2.0-only
#
# Each target runs a script in scripts/. "make help" lists the targets.

.DEFAULT_GOAL := all

export BUILD EACH GDB LINUX RECORD KDIR JOBS LWTCLS_CACHE LWTCLS_LINUX LWTCLS_MIRROR

##@ Use
demo: ## watch stock ip and tc attach BPF programs to the packet path, on Debian's own kernel
	@scripts/guest/demo $(FLAVOUR)

shell: ## start a shell in the same guest: module loaded, namespaces a and b connected
	@scripts/guest/shell $(FLAVOUR)

##@ Build
all: ## build the modules against the test kernel, or against a Rust kernel tree: KDIR=PATH
	@scripts/build/build-module

setup: ## set up the prerequisites only: tools, kernel source, test kernel
	@scripts/setup/setup-kernel test >/dev/null

samples: ## build the programs and the loader of samples/ into build/samples
	@scripts/build/build-samples

deb: ## build the Debian package lwtcls-dkms into build/deb
	@scripts/dkms/deb

upstream: ## lay the code out as commits on a kernel tree: LINUX=PATH, BUILD=y or m, EACH=1
	@scripts/upstream/upstream

##@ Test
test: ## run KUnit suites and scenarios in guests; ARGS="-k word", ARGS=test_x.py, FLAVOUR=stock
	@scripts/check/test $(if $(FLAVOUR),--flavour $(FLAVOUR)) $(ARGS)

test-debug: ## run them on the debug kernel, plus scenarios that fail each allocation once
	@scripts/check/test --debug $(ARGS)

test-races: ## run the concurrency scenarios on a KCSAN kernel
	@scripts/check/test --races $(ARGS)

planted: ## plant faults in copies of the source; the tests of a kernel must detect each
	@scripts/check/planted

kernels: ## build and try a set of kernels that covers options and compilers; KERNEL=name, RECORD=1
	@scripts/kernels/kernels $(KERNEL)

diff: ## run the scenarios on lwtcls and on the C and compare the results; ARGS as above
	@scripts/check/diff $(ARGS)

faults: ## run scenarios on the C without and with the fixes of docs/faults; ARGS=0004
	@scripts/check/faults $(ARGS)

fuzz: ## send 200,000 hostile requests to lwtcls and the C; LWTCLS_FUZZ, LWTCLS_SEED, ARGS=--debug
	@scripts/check/fuzz $(ARGS)

bench: ## count instructions per packet and per request, and compare with the C; FLAVOUR=stock
	@scripts/bench/bench $(FLAVOUR)

cycles: ## count cycles and cache misses per packet, and compare with the C; needs KVM
	@scripts/bench/cycles $(FLAVOUR)

memory: ## measure memory and instructions of many routes and filters, and compare with the C
	@scripts/bench/memory

check-deb: ## install, use and purge the Debian package on a fresh Debian in a guest
	@scripts/dkms/check-deb

lint: ## check formatting, clippy, checkpatch, shellcheck and the project's own rules
	@scripts/lint/lint

##@ Read
doc: ## build the rustdoc, private items included, in build/doc
	@scripts/build/doc

rust-analyzer: ## write rust-project.json for editors
	@scripts/build/rust-analyzer

unsafe: ## regenerate docs/unsafe.md: all unsafe code and what makes it sound
	@scripts/lint/unsafe-audit.py

##@ Clean
clean: ## remove what was built in this checkout
	rm -rf build

distclean: clean ## also remove the cache: tools, kernel source, kernels
	@scripts/setup/clean-cache

help: ## show this help
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@printf '\nVariables: KDIR (kernel tree to build against), JOBS (parallel jobs),\n'
	@printf '  GDB=1 (make shell lets gdb attach), RECORD=1 (make test writes into README,\n'
	@printf '  make bench draws docs/cost.svg),\n'
	@printf '  FLAVOUR (a kernel of scripts/setup/kernel/, for "make test", "demo", "shell" and "bench"),\n'
	@printf '  LWTCLS_CACHE (where tools and kernels are kept), LWTCLS_LINUX (another\n'
	@printf '  kernel source), LWTCLS_MIRROR (another Debian mirror)\n'

.PHONY: all bench check-deb clean cycles deb demo diff distclean doc faults fuzz help kernels lint \
	memory planted rust-analyzer samples setup shell test test-debug test-races unsafe upstream
