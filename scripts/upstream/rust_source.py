# SPDX-License-Identifier: GPL-2.0-only
"""Rewrites a Rust source of lwtcls as it would stand in the kernel tree.

What changes is mechanical: paths, because `abstractions` is the kernel crate there; visibility,
because the policies are other crates there; and the imports that both affect.
"""

import re

# Paths below `abstractions` that have another place in the kernel crate.
MOVED = {
    ("cold_path",): ("hint", "cold_path"),
    ("compat", "rcu_barrier"): ("sync", "rcu", "rcu_barrier"),
    ("compat", "synchronize_rcu"): ("sync", "rcu", "synchronize_rcu"),
    ("compat", "this_module"): ("module", "this_module"),
    ("success",): ("error", "to_result"),
    ("testing",): ("net", "testing"),
    ("time", "Jiffy"): ("time", "jiffy", "Jiffy"),
    ("uapi",): ("net", "uapi"),
}

# What stays out of the kernel tree.
OUT = {"takeover", "is_ours", "Unavailable"}

USE = re.compile(r"(?P<indent>[ \t]*)(?P<vis>pub(?:\([^)]*\))? )?use (?P<tree>[^;]+);\n")
BLOCK = re.compile(r"(?m)(?:^[ \t]*(?:pub(?:\([^)]*\))? )?use [^;]+;\n)+")


def leaves(tree):
    """Yields the paths of a use tree, each a tuple of its segments."""
    tree = re.sub(r"//[^\n]*", "", tree).strip()
    head, brace, rest = tree.partition("{")
    prefix = tuple(part for part in head.split("::") if part.strip())
    if tree.startswith("::"):
        prefix = ("",) + prefix
    if not brace:
        yield tuple(part.strip() for part in prefix)
        return
    depth, item = 0, ""
    for char in rest[: rest.rindex("}")] + ",":
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char != "," or depth:
            item += char
        elif item.strip():
            for path in leaves(item):
                yield tuple(part.strip() for part in prefix + path)
            item = ""
        else:
            item = ""


def order(name):
    """The order of rustfmt: self, modules and functions, types, constants."""
    plain = name.split(" as ")[0]
    if plain in ("self", "super", "crate"):
        return (0, plain)
    if plain == "*":
        return (4, plain)
    if plain == plain.lower():
        return (1, plain)
    return (3 if plain == plain.upper() and len(plain) > 1 else 2, plain)


def show(paths):
    """Writes paths as one use tree, in the vertical style of the kernel."""
    groups = {}
    for path in paths:
        groups.setdefault(path[0], set()).add(path[1:])
    items = []
    for name in sorted(groups, key=order):
        below = groups[name]
        if below == {()}:
            items.append(name)
            continue
        below = {("self",) if path == () else path for path in below}
        items.append(f"{name}::{show(below)}")
    if len(items) == 1:
        return items[0]
    lines = []
    for item in items:
        lines += [f"    {line}" for line in f"{item},".split("\n")]
    return "{\n" + "\n".join(lines) + " //\n}"


class Rewriter:
    """Rewrites the files of one crate: the kernel crate or, with `policy`, one of a policy."""

    def __init__(self, policy, kunit):
        self.policy = policy
        self.root = "kernel" if policy else "crate"
        self.kunit = kunit

    def move(self, path, prelude):
        """Returns the new path, or None if the prelude has it."""
        root = path[0]
        if OUT.intersection(path):
            return None
        if path[:2] == ("crate", "name"):
            return (self.root, "bpf", "name") + path[2:]
        if path == ("$crate", "abstractions"):
            return ("$crate",)
        if len(path) > 1 and path[1] == "abstractions" and root in ("crate", "$crate"):
            rest = path[2:]
            if rest and rest[0] == "trace":
                return ("crate",) + rest
            if rest[:1] == ("compat",) and re.fullmatch(r"E[A-Z0-9]+", rest[1]):
                if prelude:
                    return None
                rest = ("error", "code", rest[1])
            for length in (1, 2):
                if rest[:length] in MOVED:
                    rest = MOVED[rest[:length]] + rest[length:]
                    break
            return ("$crate" if root == "$crate" else self.root,) + rest
        if not self.policy:
            if path[:2] == ("", "kernel"):
                return ("$crate",) + path[2:]
            if root == "kernel":
                return ("crate",) + path[1:]
        return path

    def imports(self, block, prelude):
        """Rewrites consecutive use statements, and merges those of the same crate."""
        merged, out = {}, []
        indent = ""
        for number, use in enumerate(USE.finditer(block)):
            indent = use["indent"]
            for path in leaves(use["tree"]):
                path = self.move(path, prelude)
                if path is not None:
                    # A re-export keeps its statement.
                    key = (use["vis"] or "", path[0], number if use["vis"] else None)
                    merged.setdefault(key, set()).add(path)
        for (vis, *_), paths in merged.items():
            out += [f"{indent}{line}\n" for line in f"{vis}use {show(paths)};".split("\n")]
        return "".join(out)

    def rewrite(self, text, top=False):
        """Rewrites a file. `top`: it is a child of `abstractions` itself."""
        if top:
            text = re.sub(r"\bsuper::", "crate::abstractions::", text)
        prelude = "prelude::*" in text

        def block(match):
            before = text[: match.start()].rstrip("\n").rsplit("\n", 1)[-1].strip()
            if before.startswith("#["):
                first = USE.match(match[0])
                return self.imports(first[0], prelude) + self.imports(
                    match[0][first.end() :], prelude
                )
            return self.imports(match[0], prelude)

        text = BLOCK.sub(block, text)

        def path(match):
            moved = self.move(tuple(match[0].split("::")), prelude)
            return match[0].rsplit("::", 1)[1] if moved is None else "::".join(moved)

        text = re.sub(r"(?:\$?crate)::(?:abstractions|name)(?:::\w+)+", path, text)
        text = text.replace("cfg(lwtcls_kunit)", f"cfg({self.kunit})")
        text = text.replace("cfg(not(lwtcls_kunit))", f"cfg(not({self.kunit}))")
        text = text.replace("cfg_attr(lwtcls_kunit,", f"cfg_attr({self.kunit},")
        # The kernel's own bindings have the type of this callback argument as a newtype.
        text = text.replace("bindings::TC_SETUP_CLSBPF", "bindings::tc_setup_type::TC_SETUP_CLSBPF")
        if not self.policy:
            text = re.sub(r"\bsuccess\(", "to_result(", text)
            text = re.sub(r"(?<![\w$:/])kernel::(?=\w)", "crate::", text)
            text = self.publish(text)
        return re.sub(r"\n{3,}", "\n\n", text)

    def publish(self, text):
        """Makes what the policies use public."""
        for name in re.findall(r"^pub\(crate\) use (\w+);", text, re.M):
            text = re.sub(rf"(?m)^(macro_rules! {name} )", r"#[macro_export]\n\1", text)
        text = re.sub(r"pub\(in crate::abstractions\)", "pub(_)", text)
        text = re.sub(r"pub\(in crate::abstractions::", "pub(in crate::", text)
        text = text.replace("pub(crate)", "pub")
        return text.replace("pub(_)", "pub(crate)")


def keep_modules(text, laid):
    """Drops the declarations of modules that are not laid out yet, and their re-exports."""
    missing = []

    def declaration(match):
        if laid(match["name"]):
            return match[0]
        missing.append(match["name"])
        return ""

    text = re.sub(
        r"(?m)^(?:#\[[^\n]*\]\n)*(?:pub(?:\([^)]*\))? )?mod (?P<name>\w+);\n", declaration, text
    )
    for name in missing:
        text = re.sub(rf"(?m)^(?:#\[[^\n]*\]\n)*pub(?:\([^)]*\))? use {name}::[^;]+;\n", "", text)
    return re.sub(r"\n{3,}", "\n\n", text)
