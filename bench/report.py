#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""report.py DIR: from what the guests have counted to a table, a JSON file and a chart."""

import json
import pathlib
import sys

# Two runs of the same must not differ by more, in instructions for each packet.
SAME = 0.2


def read(path):
    """The lines of one guest, by name."""
    found = {}
    for text in path.read_text().splitlines():
        if text.startswith("RESULT "):
            entry = json.loads(text.removeprefix("RESULT "))
            found[entry["name"]] = entry
    return found


def chart(rows, path):
    """Draws the ratios of the hooks' own costs as bars; a line stands where the C is."""
    height, left, scale = 20 * len(rows) + 50, 330, 300
    bars = []
    for number, row in enumerate(rows):
        y, ratio = 30 + 20 * number, row["ratio"]
        bars.append(
            f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{row["name"]}</text>'
            f'<rect x="{left}" y="{y}" width="{max(ratio, 0) * scale:.1f}" height="14" '
            f'fill="{"#4477aa" if ratio <= 1 else "#cc6677"}"/>'
            f'<text x="{left + max(ratio, 0) * scale + 5:.1f}" y="{y + 12}">{ratio:.2f}</text>')
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + 2 * scale}" height="{height}" '
        f'font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>'
        f'<text x="{left}" y="16">instructions of lwtcls for one of the C</text>'
        + "".join(bars)
        + f'<path d="M{left + scale} 22V{height - 12}" stroke="black" stroke-dasharray="3 3"/>'
        + "</svg>\n")


def main():
    """Prints the table; fails if a line is missing or the runs do not agree."""
    out = pathlib.Path(sys.argv[1])
    runs = {(side, run): read(out / f"{side}.{run}.log")
            for side in ("rust", "c") for run in (1, 2)}
    names = list(runs["rust", 1])
    wrong, rows, apart = [], [], 0.0
    for side in ("rust", "c"):
        first, second = runs[side, 1], runs[side, 2]
        if not first or set(first) != set(second) or "xmit: reroute" not in first:
            wrong.append(f"the guests of {side} did not count all lines: see {out}/{side}.*.log")
        for name, entry in first.items():
            if entry["unit"] == "packet" and name in second:
                difference = abs(entry["count"] - second[name]["count"])
                apart = max(apart, difference)
                if difference > SAME:
                    wrong.append(f"void: '{name}' of {side} differs by {difference:.2f} "
                                 "instructions for each packet between two runs")
    print(f"\n{'instructions for each packet':44} {'C':>9} {'lwtcls':>9}   "
          f"{'hook: C':>9} {'lwtcls':>9} {'ratio':>6}")
    for name in names:
        rust, c = runs["rust", 1][name], runs["c", 1].get(name)
        if rust["unit"] != "packet":
            continue
        row = {"name": name, "rust": rust["count"], "c": c and c["count"], "ratio": None}
        text = f"{name:44} {c['count'] if c else 0:9.1f} {rust['count']:9.1f}"
        base = rust["base"]
        if base and c:
            own_rust = rust["count"] - runs["rust", 1][base]["count"]
            own_c = c["count"] - runs["c", 1][base]["count"]
            row.update(base=base, hook_rust=own_rust, hook_c=own_c)
            text += f"   {own_c:+9.1f} {own_rust:+9.1f}"
            # A hook that spares a path costs less than nothing: there is no ratio.
            if own_c > 0:
                row["ratio"] = own_rust / own_c
                text += f" {row['ratio']:6.2f}"
        rows.append(row)
        print(text)
    print(f"\n{'instructions for each request':44} {'C':>9} {'lwtcls':>9} {'ratio':>9}")
    for name in list(names) + [n for n in runs["c", 1] if n not in names]:
        rust, c = runs["rust", 1].get(name), runs["c", 1].get(name)
        if (rust or c)["unit"] != "request":
            continue
        ratio = rust["count"] / c["count"] if rust and c else None
        rows.append({"name": name, "rust": rust and rust["count"], "c": c and c["count"],
                     "ratio": ratio})
        print(f"{name:44} {c['count'] if c else float('nan'):9.0f} "
              f"{rust['count'] if rust else float('nan'):9.0f} "
              + (f"{ratio:9.2f}" if ratio else ""))
    (out / "bench.json").write_text(json.dumps(
        {"agree_within": apart, "void": bool(wrong), "lines": rows}, indent=1) + "\n")
    chart([row for row in rows if row["ratio"] is not None], out / "bench.svg")
    print(f"\ntwo runs agree within {apart:.2f} instructions for each packet; "
          f"{out}/bench.json, {out}/bench.svg")
    for text in wrong:
        print(f"error: {text}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
