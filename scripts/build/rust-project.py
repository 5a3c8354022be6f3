#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""rust-project.py LINUX KERNEL BUILD: writes rust-project.json for editors.

The kernel's generator describes the kernel's crates, but does not find modules in this layout.
"""

import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
# Crates that a module can use.
NAMED = ("core", "kernel", "pin_init", "zerocopy", "zerocopy_derive")


def configured(kernel):
    """Returns the `cfg` values of the kernel's configuration, and what Kbuild adds."""
    lines = (kernel / "include/generated/rustc_cfg").read_text().splitlines()
    found = [line.removeprefix("--cfg=").replace("\n", "") for line in lines if line]
    if "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS" in found:
        found.append("lwtcls_direct_calls")
    return found


def main():
    """Writes the file."""
    linux, kernel, build = map(pathlib.Path, sys.argv[1:4])
    sysroot = pathlib.Path("/usr")
    project = json.loads(subprocess.run(
        [sys.executable, linux / "scripts/generate_rust_analyzer.py", "2021", linux, kernel,
         sysroot, sysroot / "lib/rustlib/src/rust/library", TOP / "rust"],
        env=os.environ | {"RUSTC": "rustc"}, text=True, capture_output=True,
        check=True).stdout)
    number = {crate["display_name"]: at for at, crate in enumerate(project["crates"])}
    for name, root, cfg in (("lwtcls", "rust/lwtcls.rs", []),
                            ("lwtcls_kunit", "kunit/lwtcls_kunit.rs", ["lwtcls_kunit"])):
        project["crates"].append({
            "display_name": name,
            "root_module": str(TOP / root),
            "is_workspace_member": True,
            "is_proc_macro": False,
            "edition": "2021",
            "deps": [{"crate": number[each], "name": each} for each in NAMED if each in number],
            "cfg": configured(kernel) + cfg,
            "env": {"RUST_MODFILE": f"rust/{name}", "OBJTREE": str(kernel),
                    "LWTCLS_GENERATED": str(build)},
            "source": {"include_dirs": [str(TOP), str(build)], "exclude_dirs": []},
        })
    (TOP / "rust-project.json").write_text(json.dumps(project, indent=1) + "\n")


if __name__ == "__main__":
    main()
