# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Shared by all scripts: paths, progress reports, locks, and access to the tool chroot. An entry of
# the cache is complete only once it has the file .complete or its final name.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The cache holds everything that is downloaded or takes minutes to build. All checkouts of a user
# share it. The name of an entry identifies its inputs, by version or by hash.
CACHE=${LWTCLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lwtcls}
JOBS=${JOBS:-$(nproc)}
export TOP CACHE JOBS

say() { printf '==> %s\n' "$*" >&2; }

# die MESSAGE [HINT]: prints an error and a hint, and exits.
die() {
	printf 'error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf '       %s\n' "$2" >&2
	exit 1
}

# step NAME HINT COMMAND...: runs a long command with its output in a log, shows progress, and
# reports the time. HINT is printed if it fails. COMMAND may be a function. It runs in a subshell
# under set -e.
step() {
	local name=$1 hint=$2 log start pid rc line elapsed
	shift 2
	mkdir -p "$CACHE/log"
	log="$CACHE/log/$(printf '%s' "$name" | tr -cs 'A-Za-z0-9.\n' '-').log"
	start=$SECONDS
	say "$name"
	# Use a process group, so that an interrupt kills all of it: nothing may write to the cache
	# after the lock is released.
	set -m
	( set -euo pipefail; "$@" ) >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064
	trap "kill -- -$pid 2>/dev/null || :" EXIT
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		elapsed=$((SECONDS - start))
		if [ -t 2 ]; then
			line=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | tail -n 1 | cut -c1-60)
			printf '\r\033[K    %4d s  %s' "$elapsed" "$line" >&2
		elif [ $((elapsed % 30)) = 29 ]; then
			line=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | tail -n 1 | cut -c1-60)
			printf '    %4d s  %s\n' "$elapsed" "$line" >&2
		fi
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
	rc=0
	wait "$pid" || rc=$?
	trap - EXIT
	if [ "$rc" != 0 ]; then
		printf '    the last lines of %s:\n' "$log" >&2
		tail -n 25 "$log" | sed 's/^/    | /' >&2
		die "'$name' failed with status $rc after $((SECONDS - start)) s" "$hint"
	fi
	say "$name: done in $((SECONDS - start)) s"
}

# Kills all background jobs that run in a process group ("set -m").
end_jobs() {
	local job
	for job in $(jobs -p); do
		kill -- "-$job" 2>/dev/null || :
	done
}

# wait_for_jobs SHOW: waits for all jobs started with "set -m" and "&". Every 30 s it prints the
# output of the function SHOW, which reports progress. An interrupt kills all jobs.
wait_for_jobs() {
	local start=$SECONDS shown=$SECONDS
	trap end_jobs EXIT
	while [ -n "$(jobs -r)" ]; do
		sleep 5
		[ $((SECONDS - shown)) -ge 30 ] || continue
		shown=$SECONDS
		printf '    %4d s  %s\n' $((SECONDS - start)) "$("$1")" >&2
	done
	wait
	trap - EXIT
}

# key FILE_OR_WORD...: prints a short hash of the arguments. Files are hashed by content.
key() {
	local x
	for x in "$@"; do
		if [ -f "$x" ]; then cat "$x"; else printf '%s\n' "$x"; fi
	done | sha256sum | cut -c1-12
}

# locked NAME COMMAND...: runs COMMAND under the lock NAME, so that only one process at a time makes
# a cache entry. Another one waits, and then finds the entry.
locked() {
	local name=$1
	shift
	mkdir -p "$CACHE/lock"
	(
		flock -n 9 || {
			say "waiting for another run that is building $name"
			flock 9
		}
		"$@" 9>&-
	) 9>"$CACHE/lock/$name"
}

need_root() {
	[ "$(id -u)" = 0 ] || die "this needs root, to create and enter a chroot" \
		"run it again as root, for example: sudo make demo"
}

# Prints the Debian mirror to use: LWTCLS_MIRROR, or that of the machine's apt. Prints nothing if
# there is neither; debootstrap then uses its default.
mirror() {
	if [ -n "${LWTCLS_MIRROR:-}" ]; then
		printf '%s\n' "$LWTCLS_MIRROR"
	elif command -v apt-get >/dev/null; then
		# shellcheck disable=SC2016
		apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null |
			sed 's,/*$,,' | head -n 1
	fi
}

# shellcheck disable=SC2034
NETWORK_HINT="check the network and the free disk (3 GB), then run the same command again; LWTCLS_MIRROR=URL names another Debian mirror"

install_debootstrap() {
	if command -v debootstrap >/dev/null; then return; fi
	command -v apt-get >/dev/null ||
		die "debootstrap is not installed" "install it with this distribution's package manager"
	apt-get update
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap
}

# bootstrap_debian ROOT: installs a minimal Debian with the backports of its suite. Services are not
# started.
bootstrap_debian() {
	local from
	from=$(mirror)
	rm -rf "$1"
	debootstrap --variant=minbase "$TOOLS_SUITE" "$1" ${from:+"$from"}
	# Take the mirror from the line that debootstrap wrote.
	sed "s/ $TOOLS_SUITE / $TOOLS_SUITE-backports /" "$1/etc/apt/sources.list" \
		>"$1/etc/apt/sources.list.d/backports.list"
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
	chmod 755 "$1/usr/sbin/policy-rc.d"
}

# in_debian ROOT COMMAND...: runs a command in such a root, like in_tools does in the tool chroot.
in_debian() {
	# shellcheck disable=SC2086
	LWTCLS_TOOLS=$1 unshare --mount --propagation private ${LWTCLS_UNSHARE:-} -- \
		bash "$TOP/scripts/setup/enter-tools" "${@:2}"
}

# install_in_debian ROOT PACKAGE...: installs packages in such a root.
install_in_debian() {
	# shellcheck disable=SC2016
	in_debian "$1" sh -euc '
		export DEBIAN_FRONTEND=noninteractive
		apt-get update
		apt-get install -y --no-install-recommends "$@"
		apt-get clean' sh "${@:2}"
}

# in_tools COMMAND...: runs a command in the tool chroot, with the checkout and the cache mounted at
# the same paths. The mounts are in a private mount namespace, so they end with the command.
# LWTCLS_UNSHARE has more options for unshare.
in_tools() {
	local root
	root=$(tools_dir)
	[ -e "$root/.complete" ] || die "the tool chroot is missing" "run: make setup"
	in_debian "$root" "$@"
}

# no_splats LOG: prints the lines of a guest's kernel log with a splat, and fails if there is one.
no_splats() { in_tools python3 "$TOP/tests/splats.py" "$1" >&2; }

TOOLS_SUITE=trixie
tools_dir() {
	printf '%s/tools-%s\n' "$CACHE" \
		"$(key "$TOOLS_SUITE" "$TOP/scripts/setup/packages.txt" "$TOP/scripts/setup/setup-tools" \
			"$TOP/scripts/setup/adjust-root")"
}

# foreign_root ARCH: prints the root that setup-root makes for an architecture.
foreign_root() {
	printf '%s/root-%s-%s\n' "$CACHE" "$1" "$(key "$TOOLS_SUITE" "$TOP/scripts/setup/packages-guest.txt" \
		"$TOP/scripts/setup/setup-root" "$TOP/scripts/setup/adjust-root")"
}

# debian_dir NAME: prints the root that setup-deb makes under that name.
debian_dir() {
	printf '%s/debian-%s-%s\n' "$CACHE" "$1" "$(key "$TOOLS_SUITE" "$TOP/scripts/setup/setup-deb")"
}

# The supported kernel series, newest first.
KERNEL_SERIES="7.3 7.2"
# source_dir [SERIES]: prints the unpacked kernel source: that of a series, or LWTCLS_LINUX, or the
# newest complete one in the cache. Prints nothing if there is none yet.
source_dir() {
	local series dir
	if [ -n "${LWTCLS_LINUX:-}" ] && [ -z "${1:-}" ]; then
		printf '%s\n' "$LWTCLS_LINUX"
		return
	fi
	for series in ${1:-$KERNEL_SERIES}; do
		for dir in "$CACHE/source-$series."*/linux; do
			if [ -e "${dir%/linux}/.complete" ]; then
				printf '%s\n' "$dir"
				return
			fi
		done
	done
}

# kernel_word FLAVOUR WORD: prints the rest of the line "# WORD: .." in a flavour's fragment. Prints
# nothing if there is no such line.
kernel_word() { sed -n "s/^# $2: //p" "$TOP/scripts/setup/kernel/$1.config" 2>/dev/null || :; }

# kernel_arch FLAVOUR: prints the architecture of a kernel for another one than this machine's, as the
# kernel's makefiles name it. Prints nothing for the others.
kernel_arch() {
	local arch
	arch=$(kernel_word "$1" arch)
	if [ -z "$arch" ] && [ "$1" != test ] && [ -z "$(debian_kernel "$1")" ]; then
		arch=$(kernel_arch "$(kernel_base "$1")")
	fi
	printf '%s\n' "$arch"
}

# kernel_image FLAVOUR: prints the path of the bootable image in a kernel's build tree.
kernel_image() {
	case $(kernel_arch "$1") in
	'') echo arch/x86/boot/bzImage ;;
	arm64) echo arch/arm64/boot/Image ;;
	esac
}

# compiler_for FLAVOUR: prints the C compiler, with its options, of programs that run on that kernel.
compiler_for() {
	case $(kernel_arch "$1") in
	'') echo gcc ;;
	arm64) echo "clang --target=aarch64-linux-gnu --sysroot=$(foreign_root arm64) -fuse-ld=lld" ;;
	esac
}

# kernel_base FLAVOUR: prints the flavour that it is derived from: the one in its "# base:" line, or
# the test kernel.
kernel_base() {
	local base
	base=$(kernel_word "$1" base)
	printf '%s\n' "${base:-test}"
}

# kernel_source FLAVOUR: prints the source of a kernel that is built: that of the series in its
# "# series:" line, or the newest one.
kernel_source() { source_dir "$(kernel_word "$1" series)"; }

# kernel_fragments FLAVOUR: prints the configuration fragments: those of the base, then its own.
# Later ones override earlier ones.
kernel_fragments() {
	[ "$1" = test ] || kernel_fragments "$(kernel_base "$1")"
	printf '%s\n' "$TOP/scripts/setup/kernel/$1.config"
}

# debian_kernel FLAVOUR: prints the series and Debian's flavour of a kernel that is downloaded from
# Debian. Prints nothing for one that is built.
debian_kernel() { sed '/^#/d' "$TOP/scripts/setup/kernel/$1.debian" 2>/dev/null || :; }

# packages_dir FLAVOUR: prints where the packages of a downloaded kernel are unpacked.
packages_dir() {
	local words
	words=$(debian_kernel "$1")
	printf '%s/debian-%s-%s\n' "$CACHE" "${words// /-}" "$(key "$TOP/scripts/setup/setup-debian")"
}

# kernel_dir FLAVOUR: prints the build tree of that kernel. The name contains a hash of the source,
# the configuration and the compiler versions.
kernel_dir() {
	local fragments
	if [ -n "$(debian_kernel "$1")" ]; then
		printf '%s/kernel-%s-%s\n' "$CACHE" "$1" "$(key "$(packages_dir "$1")" \
			"$TOP/scripts/dkms/rust-metadata" "$(tools_dir)/.versions")"
		return
	fi
	mapfile -t fragments < <(kernel_fragments "$1")
	[ "$(kernel_word "$1" compiler)" != gcc ] || fragments+=("$(tools_dir)/.versions-gcc")
	printf '%s/kernel-%s-%s\n' "$CACHE" "$1" \
		"$(key "$(kernel_source "$1")" "${fragments[@]}" "$(tools_dir)/.versions")"
}

# kernel_release FLAVOUR: prints the "uname -r" of a downloaded kernel, nothing for a built one.
kernel_release() {
	[ -z "$(debian_kernel "$1")" ] || cat "$(packages_dir "$1")/release"
}

# kernel_modules FLAVOUR: prints the LWTCLS_BIND entry that mounts the modules of a downloaded
# kernel at /usr/lib/modules.
kernel_modules() {
	local release
	release=$(kernel_release "$1")
	[ -z "$release" ] ||
		printf '%s:%s\n' "$(packages_dir "$1")/usr/lib/modules/$release" "/usr/lib/modules/$release"
}

# kernel_words FILE[::SCENARIO]: prints the kernel command line parameters that a scenario file
# needs, from its second line. tests/conftest.py skips the file in guests without them.
kernel_words() {
	local file=${1%%::*}
	sed -n '2s/^# kernel: //p' "$TOP/tests/${file##*/}" 2>/dev/null || :
}

# show_kernel DIR: makes a kernel tree visible in the tool chroot, and its source, which is separate
# if the tree is a build directory.
show_kernel() {
	LWTCLS_BIND="$1 $(readlink -e "$1/source" || :)"
	export LWTCLS_BIND
}

# build_module_for FLAVOUR: builds the modules for that kernel, with the argument for make in the
# "# module:" line of a flavour other than the test kernel. Sets `build` to the output directory. Each
# flavour has its own, as modules load only into their kernel.
build_module_for() {
	local kernel argument
	build=$TOP/build
	if [ "$1" = test ]; then
		"$TOP/scripts/build/build-module"
	else
		build=$TOP/build/$1
		kernel=$("$TOP/scripts/setup/setup-kernel" "$1") || return
		argument=$(kernel_word "$1" module)
		KDIR=$kernel LWTCLS_BUILD=$build "$TOP/scripts/build/build-module" ${argument:+"$argument"}
	fi
}

# build_programs_for FLAVOUR: as build_module_for, and builds the BPF programs.
build_programs_for() {
	build_module_for "$1" || return
	"$TOP/scripts/build/build-bpf" "$1"
	[ "$1" = test ] || ln -sfn ../bpf "$build/bpf"
}

# build_for FLAVOUR: as build_programs_for, and builds everything else that the scenarios need.
build_for() {
	local arch root each
	build_programs_for "$1"
	arch=$(kernel_arch "$1")
	if [ -n "$arch" ]; then
		root=$("$TOP/scripts/setup/setup-root" "$arch")
		mkdir -p "$build/tools"
		"$TOP/scripts/build/build-samples" "$1"
	else
		root=/
		for each in clients samples tools; do
			mkdir -p "$TOP/build/$each"
			[ "$1" = test ] || ln -sfn "../$each" "$build/$each"
		done
	fi
	"$TOP/scripts/build/build-clients" "$1"
	in_tools "$TOP/scripts/guest/prepare" "$build" "$root" ||
		die "preparing the guests failed" "fix the errors above"
}
