# SPDX-License-Identifier: GPL-2.0-only
"""layout.py LINUX: commits the abstractions and the policies to a kernel tree, as a series.

upstream/series.toml lists the commits. Their contents are made from the sources of lwtcls. Only
what exists in a kernel tree alone is kept in upstream/: files, and changes of the kernel's.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import c_source
import rust_source
import tomllib

TOP = Path(__file__).resolve().parents[2]
UPSTREAM = TOP / "upstream"

# Sources with another place in the kernel tree. Others keep their place: rust/abstractions/ is
# rust/kernel/, and the mod.rs of a directory is the file of that name next to it.
PLACES = {
    "rust/abstractions/str/mod.rs": "rust/kernel/str/owned.rs",
    "rust/abstractions/sync/rcu.rs": "rust/kernel/sync/rcu/read_side.rs",
    "rust/abstractions/sync/refcount.rs": "rust/kernel/sync/refcount/dec_not_one.rs",
    "rust/abstractions/time.rs": "rust/kernel/time/jiffy.rs",
    "rust/abstractions/trace.rs": "net/core/lwt_bpf_rust/trace.rs",
    "rust/abstractions/uapi.rs": "rust/kernel/net/uapi.rs",
    "rust/abstractions/net/netlink/mod.rs": "rust/kernel/net/netlink/nla.rs",
    "rust/name.rs": "rust/kernel/bpf/name.rs",
}
DIRECTORIES = {
    "rust/abstractions/net/netlink": "rust/kernel/net/netlink/nla",
    "rust/abstractions/testing": "rust/kernel/net/testing",
    "rust/abstractions": "rust/kernel",
    "rust/lwt": "net/core/lwt_bpf_rust/lwt",
    "rust/cls": "net/sched/cls_bpf_rust/cls",
    "kunit/lwt": "net/core/lwt_bpf_rust/lwt/suite",
    "kunit/push": "net/core/lwt_bpf_rust/lwt/push/suite",
    "kunit/cls": "net/sched/cls_bpf_rust/cls/suite",
    "kunit": "net/core/lwt_bpf_rust/suites",
}
KERNEL = rust_source.Rewriter(policy=False, kunit="CONFIG_RUST_NET_KUNIT")
POLICY = rust_source.Rewriter(policy=True, kunit="bpf_rust_kunit")

# Names that end with the module: everything in the tree that was "lwtcls".
NAMES = [
    (r"lwtcls_rust_cls_bpf_", "cls_bpf_rust_"),
    (r"lwtcls_cls_bpf_", "cls_bpf_"),
    (r"lwtcls_rust_bpf_", "lwt_bpf_rust_"),
    (r"lwtcls_trace_exception", "lwt_bpf_trace_exception"),
    (r"lwtcls_trace\.h", "lwt_bpf_trace.h"),
    (r"lwtcls_bpf_", "lwt_bpf_"),
    (r"kunit_tests\(lwtcls_", "kunit_tests(bpf_rust_"),
    (r'c"lwtcls"', 'c"lwt_bpf"'),
    (r"debug/lwtcls/", "debug/lwt_bpf/"),
    (r"\bTRACE_SYSTEM lwtcls\b", "TRACE_SYSTEM lwt_bpf"),
    (r"_LWTCLS_TRACE_H", "_LWT_BPF_TRACE_H"),
    (r"TRACE_INCLUDE_FILE lwtcls_trace", "TRACE_INCLUDE_FILE lwt_bpf_trace"),
    (r"TRACE_EVENT\(exception,", "TRACE_EVENT(lwt_bpf_exception,"),
    (r"\btrace_exception\(", "trace_lwt_bpf_exception("),
    (r"\.\./\.\./include/lwtcls\.h", "lwt_bpf_rust.h"),
    (r"\.\./\.\./include/lwt_bpf", "lwt_bpf"),
    (r"see `include/lwt_bpf_trace.h`", "see `lwt_bpf_trace.h`"),
    (r"`lwtcls:exception`", "`lwt_bpf:lwt_bpf_exception`"),
]


def die(message):
    sys.exit(f"error: {message}")


def rename(text):
    for pattern, name in NAMES:
        text = re.sub(pattern, name, text)
    return text


def place(source):
    """Returns where a source stands in the kernel tree."""
    if source in PLACES:
        return PLACES[source]
    path = Path(source)
    if path.name == "mod.rs":
        path = path.parent.with_suffix(".rs")
        if str(path.with_suffix("")) in DIRECTORIES:
            return DIRECTORIES[str(path.with_suffix(""))] + ".rs"
    for directory, target in DIRECTORIES.items():
        if path.is_relative_to(directory):
            return f"{target}/{path.relative_to(directory)}"
    return die(f"{source} has no place in the kernel tree")


class Tree:
    """The kernel tree that the series is committed to."""

    def __init__(self, linux, edits):
        self.linux = Path(linux)
        self.edits = edits
        self.laid = {}
        self.written = {}

    def read(self, path):
        return (self.linux / path).read_text()

    def write(self, path, text):
        self.written[str(path)] = True
        path = self.linux / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *command, **options):
        return subprocess.run(command, cwd=self.linux, check=True, **options)

    def has_module(self, parent, name):
        return (
            any(
                place(source) in (f"{parent}/{name}.rs", f"{parent}/{name}/mod.rs")
                for source in self.laid
            )
            or (self.linux / parent / f"{name}.rs").exists()
        )

    def rust(self, source):
        """Lays out a Rust file."""
        target = place(source)
        text = (TOP / source).read_text()
        policy = not target.startswith("rust/")
        top = Path(source).parent == Path("rust/abstractions")
        text = re.sub(r'#\[path = "[^"]*"\]\n', "", text)
        text = (POLICY if policy else KERNEL).rewrite(text, top)
        directory = str(Path(target).with_suffix(""))
        if target == "rust/kernel/str/owned.rs":
            directory = "rust/kernel/str/owned"
        text = rust_source.keep_modules(text, lambda name: self.has_module(directory, name))
        for edit in self.edits.get(source, []):
            text = edited(source, text, *edit)
        self.write(target, rename(text))

    def add_rust(self, sources):
        self.laid.update(dict.fromkeys(sources))
        # The file of a directory declares the modules that are there, so it grows.
        parents = {str(Path(source).parent / "mod.rs") for source in sources}
        parents |= {str(Path(source).parents[1] / "mod.rs") for source in sources}
        for source in self.laid:
            if source in sources or source in parents:
                self.rust(source)

    def edit(self, path, old, new):
        """Replaces text that is there exactly once."""
        self.write(path, edited(path, self.read(path), old, new))

    def helper(self, name):
        """Adds the shims of one header: to the kernel's file, or as a file of their own."""
        includes, body = c_source.helpers(
            (TOP / "rust/helpers" / name).read_text(), self.linux / ".clang-format"
        )
        target = HELPERS.get(name, name)
        path = f"rust/helpers/{target}"
        if (self.linux / path).exists():
            text = self.read(path).rstrip("\n") + "\n\n" + body
            missing = [line for line in includes if line not in text]
            text = re.sub(r"((?:#include .*\n)+)", lambda m: merge(m[1], missing), text, count=1)
            self.write(path, text)
            return
        spdx = "// SPDX-License-Identifier: GPL-2.0-only\n\n"
        self.write(path, spdx + "".join(includes) + "\n" + body)
        line = f'#include "{target}"\n'
        all_of_them = self.read("rust/helpers/helpers.c")
        if target.startswith("net/"):
            begin, end = "#ifdef CONFIG_RUST_NET_ABSTRACTIONS\n", "#endif\n"
            if begin not in all_of_them:
                anchor = '#include "net/genetlink.c"\n'
                all_of_them = all_of_them.replace(anchor, anchor + begin + end)
            before, rest = all_of_them.split(begin, 1)
            inside, after = rest.split(end, 1)
            text = before + begin + merge(inside, [line]) + end + after
            self.write("rust/helpers/helpers.c", text)
            return
        lines = all_of_them.split("\n")
        for at, other in enumerate(lines):
            match = re.fullmatch(r'#include "([^"]*)"', other)
            if match and match[1] > target and not lines[at - 1].startswith("#if"):
                lines.insert(at, line.rstrip("\n"))
                break
        self.write("rust/helpers/helpers.c", "\n".join(lines))

    def module(self, path, declaration):
        """Declares a module in a file of the kernel crate, sorted."""
        name = re.search(r"mod (\w+);", declaration)[1]
        text = self.read(path)
        found = list(re.finditer(r"(?m)^((?:#\[[^\n]*\]\n)*)(?:pub )?mod (\w+);\n", text))
        at = next((match.start() for match in found if match[2] > name), None)
        if at is None and found:
            at = found[-1].end()
        if at is None:
            uses = list(re.finditer(r"(?m)^use [^;]+;\n", text))
            at = uses[-1].end()
            declaration = "\n" + declaration
        self.write(path, text[:at] + declaration.rstrip("\n") + "\n" + text[at:])

    def item(self, source, name, target, head):
        """Lays out one item of a file, as a file of its own."""
        text = (TOP / source).read_text()
        match = re.search(rf"(?m)((?:^(?:///|#\[).*\n)+)^.*\bfn {name}\(.*\}}\n", text)
        spdx = "// SPDX-License-Identifier: GPL-2.0-only\n\n"
        self.write(target, spdx + head + "\n\n" + KERNEL.publish(match[0]))

    def constants(self):
        """Adds the constants that bindgen cannot evaluate to the kernel's bindings."""
        path = "rust/bindings/bindings_helper.h"
        text = self.read(path)
        wanted = re.findall(
            r"(?m)^const (.*) LWTCLS_CONST_(\w+) = ", (TOP / "include/lwtcls.h").read_text()
        )
        lines = "".join(
            f"const {kind} RUST_CONST_HELPER_{name} = {name};\n"
            for kind, name in wanted
            if f"RUST_CONST_HELPER_{name} " not in text
            and not name.endswith("_VALUE")
            and name != "KSYM_SYMBOL_LEN"
        )
        anchor = "const xa_mark_t RUST_CONST_HELPER_XA_PRESENT"
        self.write(path, text.replace(anchor, lines + "\n" + anchor, 1))

    def headers(self):
        """Adds the headers that the abstractions need to the kernel's bindings."""
        path = "rust/bindings/bindings_helper.h"
        text = self.read(path)
        wanted = re.findall(r"(?m)^#include <.*>\n", (TOP / "include/lwtcls.h").read_text())
        unwanted = {"linux/ftrace.h", "linux/kallsyms.h", "linux/kprobes.h"}
        missing = [line for line in wanted if line not in text and line[10:-2] not in unwanted]
        block = re.search(r"(?m)(?:^#include <[^.].*\n)+(?=#include <trace/)", text)
        self.write(path, text[: block.start()] + merge(block[0], missing) + text[block.end() :])

    def stubs(self, which, directory, header):
        """Lays out the callbacks of one policy: the C functions and their declarations."""
        unwanted = {
            "lwt": r"lwtcls_(?:rust_)?cls_bpf_|cls_types|pkt_cls|sch_generic",
            "cls": r"lwtcls_(?:rust_)?bpf_|encap_types|lwtunnel",
        }[which]
        for source, target in (
            ("include/lwtcls_entries.h", f"{header}.h"),
            ("rust/stubs/entries.c", "entries.c"),
        ):
            text = (TOP / source).read_text()
            text = text.replace("../../include/lwtcls_entries.h", f"{header}.h")
            text = text.replace("(rust/stubs/entries.c)", "(entries.c)")
            text = text.replace("_LWTCLS_ENTRIES_H", f"_{header.upper()}_H")
            # The names have no prefix here, and there is one policy in the file.
            text = re.sub(r"(?s)(The callbacks) of the encaps.*?(Each calls)", r"\1. \2", text)
            text = re.sub(rf"(?m)^#include <.*(?:{unwanted}).*>\n", "", text)
            text = c_source.only(text, unwanted, r"\blwtcls_|tcf_proto_ops|lwtunnel_encap_ops")
            self.write(
                f"{directory}/{target}", c_source.reflow(rename(text), self.linux / ".clang-format")
            )

    def entries(self, macro, target, module, head):
        """Lays out the names of the callbacks of one policy."""
        text = (TOP / "rust/entries.rs").read_text()
        body = re.search(rf"(?m)^{macro}! \{{\n(?:.*\n)*?\}}\n", text)[0]
        body = body.replace("LwtCls;", f"{module};")
        self.write(target, rename(f"// SPDX-License-Identifier: GPL-2.0-only\n\n{head}\n{body}"))

    def copy(self, source, target):
        self.write(target, rename((TOP / source).read_text()))

    def files(self, patterns):
        for pattern in patterns:
            for path in sorted((UPSTREAM / "files").glob(pattern)):
                if path.is_file():
                    self.write(path.relative_to(UPSTREAM / "files"), path.read_text())

    def commit(self, entry):
        """Commits what was written. `git commit` would look at each file of the tree."""
        rust = [name for name in self.written if name.endswith(".rs")]
        if rust:
            self.run("rustfmt", "--config-path", ".rustfmt.toml", "--edition", "2021", *rust)
        self.run("git", "update-index", "--add", "--", *self.written)
        self.written = {}
        signature = f"Signed-off-by: {self.author()}"
        message = f"{entry['subject']}\n\n{entry['body'].strip()}\n\n{signature}\n"
        new = self.git("commit-tree", self.git("write-tree"), "-p", "HEAD", input=message)
        self.git("update-ref", "HEAD", new)

    def git(self, *arguments, **options):
        return self.run(
            "git", *arguments, stdout=subprocess.PIPE, text=True, **options
        ).stdout.strip()

    def author(self):
        return re.sub(r"[^>]*$", "", self.git("var", "GIT_AUTHOR_IDENT"))


def edited(path, text, old, *rest):
    """Replaces `old`, or all from `old` on up to another text or, if that is empty, to the end."""
    if text.count(old) != 1:
        die(f"{path}: this is not there exactly once: {old}")
    *until, new = rest
    if not until:
        return text.replace(old, new)
    begin = text.index(old)
    end = text.find(until[0], begin) if until[0] else len(text)
    if end < 0:
        die(f"{path}: this does not follow: {until[0]}")
    return text[:begin] + new + text[end:]


def merge(block, lines):
    """Adds lines to sorted ones."""
    old = block.splitlines(keepends=True)
    for line in lines:
        at = next((i for i, other in enumerate(old) if other > line), len(old))
        old.insert(at, line)
    return "".join(old)


# The kernel's file of the shims, where its name differs.
HELPERS = {"rcupdate.c": "rcu.c"} | {
    name: f"net/{name}"
    for name in (
        "bpf.c",
        "checksum.c",
        "dst.c",
        "filter.c",
        "if_arp.c",
        "l3mdev.c",
        "lwtunnel.c",
        "net_namespace.c",
        "netdevice.c",
        "netlink.c",
        "pkt_cls.c",
        "route.c",
        "sch_generic.c",
        "skbuff.c",
        "sock.c",
        "xfrm.c",
    )
}


def sources(patterns):
    found = []
    for pattern in patterns:
        matches = sorted(str(path.relative_to(TOP)) for path in TOP.glob(pattern))
        if not matches:
            die(f"series.toml: no source matches {pattern}")
        found += [name for name in matches if name not in found]
    return found


# What stays out of the kernel tree; docs/upstream.md says why.
STAYS_OUT = {
    "rust/abstractions/bpf/push_encap/helper.rs",
    "rust/abstractions/compat.rs",
    "rust/abstractions/ftrace.rs",
    "rust/abstractions/kallsyms.rs",
    "rust/abstractions/mod.rs",
    "rust/abstractions/net/lwtunnel/takeover.rs",
    "rust/abstractions/net/mod.rs",
    "rust/abstractions/sync/mod.rs",
    "rust/helpers/helpers.c",
    "rust/helpers/kallsyms.c",
    "rust/helpers/module.c",
}


def check_complete(series):
    """Fails if a source has no commit."""
    listed = set(STAYS_OUT)
    for entry in series["commit"]:
        listed.update(sources(entry.get("rust", [])))
        listed.update(f"rust/helpers/{name}" for name in entry.get("helpers", []))
    wanted = sources(["rust/abstractions/**/*.rs", "rust/helpers/*.c", "rust/lwt/*", "rust/cls/*"])
    missing = [name for name in wanted if name not in listed]
    if missing:
        die(f"series.toml: no commit has {', '.join(missing)}")


def main():
    series = tomllib.loads((UPSTREAM / "series.toml").read_text())
    check_complete(series)
    tree = Tree(sys.argv[1], series["edits"])
    for number, entry in enumerate(series["commit"], 1):
        if entry.get("bindings"):
            tree.headers()
            tree.constants()
        tree.files(entry.get("files", []))
        unwanted = set(entry.get("without", []))
        tree.add_rust([name for name in sources(entry.get("rust", [])) if name not in unwanted])
        for name in entry.get("helpers", []):
            tree.helper(name)
        for path, declaration in entry.get("modules", []):
            tree.module(path, declaration)
        for arguments in entry.get("items", []):
            tree.item(*arguments)
        for arguments in entry.get("stubs", []):
            tree.stubs(*arguments)
        for arguments in entry.get("entries", []):
            tree.entries(*arguments)
        for arguments in entry.get("copies", []):
            tree.copy(*arguments)
        for arguments in entry.get("changes", []):
            tree.edit(*(text.replace("@AUTHOR@", tree.author()) for text in arguments))
        tree.commit(entry)
        print(f"{number:2} {entry['subject']}", flush=True)


if __name__ == "__main__":
    os.umask(0o022)
    main()
