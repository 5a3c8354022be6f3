#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""report.py DIR KERNEL KERNEL-C: turns the counts of the guests into tables, a JSON file, a chart,
and a list of the functions that execute the instructions."""

import html
import json
import pathlib
import sys

import where

SIDES = ("c", "rust")
# The maximum difference between two runs, in instructions per packet.
SAME = 0.2
# The clock may exceed the plugin's count by this fraction.
REST = 0.003
# The last line of a complete guest log.
LAST, LAST_SCALED = "xmit: reroute", "xmit: push udp over IPv6, reroute"


def read(path):
    """Reads the lines of one guest's log."""
    return [json.loads(text.removeprefix("RESULT ")) for text in path.read_text().splitlines()
            if text.startswith("RESULT ")]


def lines_by_name(lines):
    """Returns the lines by name."""
    return {line["name"]: line for line in lines}


def counted(log, kernel, lines):
    """Returns the instructions per packet or request of each line by function, for its minimum
    round; the key is the first window of the line."""
    found = where.executed(log.with_suffix(".counts"), where.Symbols(kernel, log), lines)
    return {line["windows"][0]: min((found[window] for window in line["windows"]),
                                    key=lambda functions: functions.total()) for line in lines}


def own(functions):
    """Sums the instructions in the implementation itself, without the rest of the kernel."""
    return sum(count for (_, is_own), count in functions.items() if is_own)


class Hooks:
    """The counts of two runs for packets and requests."""

    def __init__(self, out, kernels):
        self.wrong, self.apart, self.rows = [], 0.0, []
        self.lines, self.at = {}, {}
        for side in SIDES:
            self.lines[side], self.at[side] = self.run(out / f"{side}.1.log", side, kernels[side])
            again, _ = self.run(out / f"{side}.2.log", side, kernels[side])
            self.compare(side, again)
        for name in self.lines["rust"]:
            if name in self.lines["c"] and not name.startswith("tcx/"):
                self.row(name)

    def run(self, log, side, kernel):
        """Returns the lines of one run by name, and their instructions by function. Packets are
        counted by address, and the clock has to confirm that."""
        lines = read(log)
        at = counted(log, kernel, lines)
        for line in lines:
            if line["unit"] == "packet":
                clock, line["count"] = line["count"], at[line["windows"][0]].total()
                if not 0 <= clock - line["count"] < REST * clock:
                    self.wrong.append(f"void: '{line['name']}' of {side}: {line['count']:.1f} by "
                                      f"address, but {clock:.1f} by the clock")
        return lines_by_name(lines), at

    def compare(self, side, second):
        """Checks that the second run agrees with the first."""
        first = self.lines[side]
        packets = {name for name, line in first.items() if line["unit"] == "packet"}
        if not packets <= set(second) or LAST not in first:
            self.wrong.append(f"the guests of {side} did not count all lines")
            return
        for name in set(first) & set(second):
            if first[name]["unit"] == "packet":
                difference = abs(second[name]["count"] - first[name]["count"])
                self.apart = max(self.apart, difference)
                if difference > SAME:
                    self.wrong.append(f"void: '{name}' of {side} differs by {difference:.2f} "
                                      "instructions for each packet between two runs")

    def hook(self, side, name):
        """Returns the cost of a line beyond its baseline; None without a baseline."""
        line = self.lines[side].get(name)
        if line is None or line["base"] is None:
            return None
        return line["count"] - self.lines[side][line["base"]]["count"]

    def row(self, name):
        """Adds one row to the table."""
        sides = {side: self.lines[side][name] for side in SIDES}
        row = {"name": name, "unit": sides["c"]["unit"], "base": sides["c"]["base"]}
        for side, line in sides.items():
            row[side] = line["count"]
            row[f"hook_{side}"] = self.hook(side, name)
            row[f"own_{side}"] = own(self.at[side][line["windows"][0]])
        # tcx is the kernel's own code, the same on both sides.
        row["tcx"] = self.hook("rust", f"tcx/{name}")
        # A line that drops has no baseline, because the path ends there: compare all of it.
        values = (row["hook_rust"], row["hook_c"]) if row["base"] else (row["rust"], row["c"])
        is_base = any(line["base"] == name for line in self.lines["c"].values())
        row["ratio"] = None if is_base else values[0] / values[1]
        self.rows.append(row)

    def show(self):
        """Prints the table."""
        def number(value, digits=1):
            return f"{value:9.{digits}f}" if value is not None else 9 * " "

        for unit, title in (("packet", "instructions for each packet"),
                            ("request", "instructions for each request")):
            print(f"\n{title:46} {'C':>9} {'lwtcls':>9}   {'hook: C':>9} {'lwtcls':>9} {'ratio':>6}"
                  f" {'tcx':>9}   {'own: C':>9} {'lwtcls':>9}")
            for row in self.rows:
                if row["unit"] == unit:
                    ratio = f"{row['ratio']:6.2f}" if row["ratio"] is not None else 6 * " "
                    print(f"{row['name']:46} {number(row['c'])} {number(row['rust'])}   "
                          f"{number(row['hook_c'])} {number(row['hook_rust'])} {ratio}"
                          f" {number(row['tcx'])}"
                          f"   {number(row['own_c'])} {number(row['own_rust'])}")

    def where(self):
        """Returns the text of where.txt: the functions of each line."""
        return where.table([
            (row["name"], *(self.at[side][self.lines[side][row["name"]]["windows"][0]]
                            for side in SIDES)) for row in self.rows])


class Scaling:
    """Sharing between two CPUs that send at once."""

    def __init__(self, out, kernels):
        self.wrong, self.rows = [], []
        for side in SIDES:
            log, touched = (out / f"{side}.{what}.log" for what in ("scale", "lines"))
            for each in (log, touched):
                if LAST_SCALED not in lines_by_name(read(each)):
                    self.wrong.append(f"the guest of {side} did not count all lines: {each}")
            at = counted(log, kernels[side], read(log))
            symbols = where.Symbols(kernels[side], touched)
            writers = where.writers_of_shared_lines(touched.with_suffix(".counts"), symbols)
            windows = {(line["name"], line["count"]): line["windows"][0] for line in read(touched)}
            for one, two in zip(*[iter(read(log))] * 2, strict=True):
                row = {"name": one["name"], "side": side,
                       "own": [own(at[line["windows"][0]]) for line in (one, two)],
                       "writers": writers[windows.get((one["name"], 2))]}
                self.rows.append(row)
                if side == "rust" and row["own"][1] > row["own"][0] + SAME:
                    self.wrong.append(f"'{row['name']}' costs more on two processors")
                if side == "rust" and row["writers"]:
                    self.wrong.append(f"'{row['name']}' writes what another processor reads: "
                                      + ", ".join(sorted(row["writers"])))

    def show(self):
        """Prints the table."""
        print(f"\n{'own instructions for each packet':46} {'C: 1 CPU':>9} {'2 CPUs':>9}   "
              f"{'lwtcls: 1':>9} {'2 CPUs':>9}   writes that the other CPU sees: C, lwtcls")
        rows = {(row["name"], row["side"]): row for row in self.rows}
        for name in dict.fromkeys(row["name"] for row in self.rows):
            both = [rows[name, side] for side in SIDES if (name, side) in rows]
            print(f"{name:46} " + "   ".join("{:9.1f} {:9.1f}".format(*row["own"]) for row in both)
                  + "   " + ", ".join(" ".join(sorted(row["writers"])) or "none" for row in both))


class Touched:
    """Costs of a packet other than its number of instructions."""
    NUMBERS = ("code lines", "data lines", "branches", "locked")

    def __init__(self, out):
        self.wrong, self.rows = [], []
        sides = {side: self.run(out / f"{side}.touch.log") for side in SIDES}
        for side, found in sides.items():
            if LAST not in found:
                self.wrong.append(f"the guest of {side} did not count all lines: {side}.touch.log")
        for name, (_, base) in sides["c"].items():
            if name in sides["rust"]:
                self.rows.append({"name": name, "base": base, **{
                    side: self.hook(found, name) for side, found in sides.items()}})

    @staticmethod
    def run(log):
        """Returns the numbers of each line, each the minimum of its rounds in all passes, and its
        baseline."""
        counts = {int(window): list(map(int, numbers)) for window, *numbers in
                  map(str.split, log.with_suffix(".counts").read_text().splitlines())}
        windows, bases = {}, {}
        for line in read(log):
            if line["unit"] == "packet":
                windows.setdefault(line["name"], []).extend(line["windows"])
                bases[line["name"]] = line["base"]
        return {name: ([min(each) for each in zip(*(counts[window] for window in some),
                                                  strict=True)], bases[name])
                for name, some in windows.items()}

    @staticmethod
    def hook(found, name):
        """Returns the numbers of a line minus those of its baseline, if it has one."""
        numbers, base = found[name]
        less = found[base][0] if base else [0] * len(numbers)
        return [each - other for each, other in zip(numbers, less, strict=True)]

    def show(self):
        """Prints the table."""
        print(f"\n{'for each packet, C and lwtcls':62}"
              + "".join(f"{each:>14}" for each in self.NUMBERS))
        for row in self.rows:
            pairs = "".join(f"{c:>8}{rust:>6}" for c, rust in
                            zip(row["c"], row["rust"], strict=True))
            print(f"{row['name']:62}{pairs}")


GROUPS = (
    ("Classifier, for each packet", lambda row: row["unit"] == "packet"
     and row["name"].startswith(("ingress", "egress"))),
    ("Encapsulation, for each packet", lambda row: row["unit"] == "packet"
     and row["name"].startswith(("in:", "out:", "xmit:"))),
    ("Requests", lambda row: row["unit"] == "request"),
)


def chart(rows, path):
    """Draws the ratios as bars, in groups. The numbers have their own column, so that the line at
    1.00 does not cross them."""
    left, scale, step, top = 340, 400, 18, 56
    right = left + scale * max(1.1, *(row["ratio"] + 0.02 for row in rows))
    drawn, y = [], top
    for title, belongs in GROUPS:
        group = [row for row in rows if belongs(row)]
        if not group:
            continue
        drawn.append(f'<text x="12" y="{y + 14}" font-weight="bold">{title}</text>')
        y += step + 4
        for row in group:
            ratio = row["ratio"]
            color = "#4477aa" if ratio <= 1 else "#cc6677"
            drawn += [
                f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">'
                f'{html.escape(row["name"])}</text>',
                f'<rect x="{left}" y="{y + 2}" width="{ratio * scale:.0f}" height="12" '
                f'fill="{color}"/>',
                f'<text x="{right + 40:.0f}" y="{y + 12}" text-anchor="end">{ratio:.2f}</text>']
            y += step
        y += 10
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, dash = left + tick * scale, "" if tick == 1 else ' stroke-dasharray="2 4"'
        drawn += [f'<path d="M{x:.0f} {top}V{y}" stroke="{"black" if tick == 1 else "#999999"}"'
                  f'{dash}/>',
                  f'<text x="{x:.0f}" y="{y + 16}" text-anchor="middle">{tick:.2f}</text>']
    width, height = right + 52, y + 28
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<!-- SPDX-License-Identifier: GPL-2.0-only -->\n'
        '<!-- Drawn by bench/report.py. -->\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        'font-family="sans-serif" font-size="12">\n'
        '<rect width="100%" height="100%" fill="white"/>\n'
        '<text x="12" y="24" font-size="16" font-weight="bold">'
        'Instructions of lwtcls relative to the C (1.00)</text>\n'
        '<text x="12" y="42">Instructions beyond the path without the hook or without the '
        'encapsulation; where there is no such path, all of it.</text>\n'
        + "\n".join(drawn) + "\n</svg>\n")


def main():
    """Prints the tables; fails if a line is missing, the runs disagree, or CPUs share written cache
    lines."""
    out = pathlib.Path(sys.argv[1])
    kernels = dict(zip(("rust", "c"), map(pathlib.Path, sys.argv[2:4]), strict=True))
    hooks, scaling, touched = Hooks(out, kernels), Scaling(out, kernels), None
    hooks.show()
    scaling.show()
    wrong = hooks.wrong + scaling.wrong
    # Missing if the addresses of the kernel are not known before it boots.
    if (out / "c.touch.log").exists():
        touched = Touched(out)
        touched.show()
        wrong += touched.wrong
    (out / "where.txt").write_text(hooks.where())
    (out / "bench.json").write_text(json.dumps(
        {"agree_within": hooks.apart, "void": bool(wrong), "lines": hooks.rows,
         "scaling": [row | {"writers": sorted(row["writers"])} for row in scaling.rows],
         "touched": touched.rows if touched else []},
        indent=1) + "\n")
    chart([row for row in hooks.rows if row["ratio"] is not None], out / "bench.svg")
    print(f"\ntwo runs agree within {hooks.apart:.2f} instructions for each packet; in {out}: "
          "bench.json, bench.svg, and where.txt, the functions of each line")
    for text in wrong:
        print(f"error: {text}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
