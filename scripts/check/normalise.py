# SPDX-License-Identifier: GPL-2.0-only
"""Normalises the observations of scenarios, so that two runs compare equal: the ids that the kernel
assigns to programs, maps, actions and devices, times, and random fields of packets.

An id is not removed but replaced by a name, "#N" in the order of first appearance in the scenario.
The same id always gets the same name.
"""

import json
import re
import struct

import nl

# Keys in the JSON output of tc, ip and bpftool.
NUMBERS = {"id": "id", "prog_id": "id", "btf_id": "btf", "map_ids": "map", "ifindex": "if",
           "index": "index"}
TIMES = {"loaded_at", "load_time", "run_time_ns", "installed", "last_used", "first_used", "rate",
         "pps"}
# Patterns in text output: ids, MAC addresses except those that the tests assign, link-local
# addresses, and times. The number of dots that a flood ping prints is not reproducible.
TEXT_NUMBERS = re.compile(r"\b(id|index|if)( ?)(\d+)\b")
# libbpf puts the id of the program into the name of a filter.
TEXT_NAMES = re.compile(r"(?<=:\[)\d+(?=\])")
TEXT_ADDRESSES = re.compile(
    r"\b(?!02:00:00:00|ff:ff)[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b|\bfe80::[0-9a-f:]+")
TEXT_TIMES = [
    re.compile(r"(?<=time[= ])[\d.]+ ?ms"),
    re.compile(r"(?<=rtt min/avg/max/mdev = )[\d./]+ ms.*"),
    re.compile(r"(?<=ipg/ewma )[\d./]+ ms"),
    re.compile(r"(?<=installed )\d+(?= sec)"),
    re.compile(r"(?<=used )\d+(?= sec)"),
    re.compile(r"(?<=tokens: )-?\d+"),
    re.compile(r"\d+[KMG]?bit \d+pps"),
    # tc computes the burst from the resolution of the machine's timer.
    re.compile(r"(?<=burst )\d+b\b"),
    re.compile(r"^[.E\x08 ]+$", re.MULTILINE),
    re.compile(r"\d+(?= rounds$)", re.MULTILINE),
]
# The link-local address of a device appears some time after the device is up.
SOON = re.compile(r"^(local|anycast) fe80:\S* dev \w+ table local .*\n", re.MULTILINE)
PLACES = [
    (re.compile(r"\S*/(lwtcls|cls_bpf)\.ko\b"), "MODULE.ko"),
    (re.compile(r"(?<=rmmod )(lwtcls|cls_bpf)\b|(?<=Module )(lwtcls|cls_bpf)\b"), "MODULE"),
    (re.compile(r"\S*/kernel-(test|reference)-\w+"), "KERNEL"),
]

# Attributes of actions: the one that starts with the index, and the one with the times.
PARMS, TIMES_OF = {"police": 1}, {"police": 6}
# NLA_TYPE_MASK: the other bits of an attribute's type are flags.
MASK = 0x3FFF
HEADERS = {4: 20, 6: 40}
IPIP, TCP, UDP, IPV6, FRAGMENT, GRE, DSTOPTS, SCTP = 4, 6, 17, 41, 44, 47, 60, 132
ICMP, ICMPV6 = 1, 58
FIRST_EPHEMERAL = 32768
# UDP ports of the tests' tunnels, and the lengths of the tunnel headers.
TUNNELS = {4789: 8 + 14, 5555: 4, 5556: 0}


def attributes(data):
    """Returns the attributes in `data`, in order, with their flags."""
    found, at = [], 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found.append((kind, data[at + 4:at + length]))
        at += (length + 3) & ~3
    return found


def uncut(found):
    """Returns the elements of a list from the journal, which may have truncated its middle."""
    if len(found) == 3 and isinstance(found[1], str):
        return [*found[0], found[1], *found[2]]
    return found


class Packet:
    """A packet whose random fields are zeroed."""

    def __init__(self, data):
        self.data, self.stream = bytearray(data), False
        self.network(0 if data[:1] and data[0] >> 4 in HEADERS else 14)

    def blank(self, at, length):
        """Zeroes some bytes, as far as the packet has them."""
        end = min(at + length, len(self.data))
        self.data[at:end] = bytes(max(end - at, 0))

    def network(self, at):
        """Normalises an IP header and what follows it."""
        data = self.data
        version = data[at] >> 4 if at < len(data) else 6
        if version not in HEADERS:
            return
        if at + HEADERS[version] > len(data):
            # Scenarios keep only the first bytes of each packet of a long connection.
            self.stream = True
            del data[at:]
            return
        if version == 4:
            follows, length = data[at + 9], data[at] % 16 * 4
            later = struct.unpack_from("!H", data, at + 6)[0] & 0x1FFF
            self.blank(at + 4, 2)
            self.blank(at + 10, 2)
            total = 2
        else:
            follows, length, later, total = data[at + 6], 40, 0, 4
            data[at + 1] &= 0xF0
            self.blank(at + 2, 2)
        if not later:
            self.transport(follows, at + length)
        if self.stream:
            self.blank(at + total, 2)

    def transport(self, kind, at):
        """Normalises what follows an IP header."""
        data = self.data
        if kind in (TCP, SCTP):
            # The number and the lengths of the segments depend on timing.
            self.stream = True
            del data[at:]
        elif at + 4 > len(data):
            return
        elif kind in (IPIP, IPV6):
            self.network(at)
        elif kind in (FRAGMENT, DSTOPTS):
            self.blank(at + 4, 4 if kind == FRAGMENT else 0)
            if kind == DSTOPTS or struct.unpack_from("!H", data, at + 2)[0] >> 3 == 0:
                self.transport(data[at], at + 8)
        elif kind == GRE:
            check = 4 if data[at] & 0x80 else 0
            self.blank(at + 4, check)
            self.network(at + 4 + check)
        elif kind in (ICMP, ICMPV6):
            self.blank(at + 2, 6)
        elif kind == UDP:
            source, target = struct.unpack_from("!HH", data, at)
            if source >= FIRST_EPHEMERAL:
                self.blank(at, 2)
            self.blank(at + 6, 2)
            if target in TUNNELS:
                inner = at + 8 + TUNNELS[target]
                # GUE variant 1 has no GUE header.
                direct = target == 5555 and at + 8 < len(data) and data[at + 8] >> 4 in HEADERS
                self.network(at + 8 if direct else inner)
            if self.stream:
                self.blank(at + 4, 2)


class Scenario:
    """Normalises the observations of one scenario on one side."""

    def __init__(self):
        self.names, self.first, self.connected = {}, {}, False
        # The kind of object that "id" refers to.
        self.id = "id"

    def name(self, kind, number):
        """Returns the name of an id of the kernel. 0 stays 0."""
        if not number:
            return number
        known = self.names.setdefault(self.id if kind == "id" else kind, {})
        return known.setdefault(number, f"#{len(known) + 1}")

    def text(self, text):
        """Normalises text output of a command, or a command itself."""
        for pattern, word in PLACES:
            text = pattern.sub(word, text)
        text = SOON.sub("", text)
        for pattern in TEXT_TIMES:
            text = pattern.sub("TIME", text)
        text = TEXT_ADDRESSES.sub(lambda found: self.name("address", found[0]), text)
        text = TEXT_NAMES.sub(lambda found: self.name("id", int(found[0])), text)
        return TEXT_NUMBERS.sub(
            lambda found: f"{found[1]}{found[2]}{self.name(found[1], int(found[3]))}", text)

    def tree(self, value, key=None):
        """Normalises JSON output of a command."""
        if isinstance(value, dict):
            return {name: self.tree(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.tree(each, key) for each in value]
        if key in TIMES:
            return "TIME"
        if key == "permaddr":
            return self.name("address", value)
        if isinstance(value, int) and not isinstance(value, bool):
            if key in NUMBERS:
                return self.name(NUMBERS[key], value)
            return value
        return self.text(value) if isinstance(value, str) else value

    def printed(self, text):
        """Normalises the output of a command, JSON or text."""
        try:
            return self.tree(json.loads(text)) if text.lstrip()[:1] in ("[", "{") else (
                self.text(text).splitlines())
        except json.JSONDecodeError:
            return self.text(text).splitlines()

    def action(self, data):
        """Normalises the attributes of an action."""
        kind = nl.attrs(data).get(nl.ACT_KIND, b"").rstrip(b"\0").decode()
        return [[number, self.action_options(kind, value) if number & MASK == nl.ACT_OPTIONS
                 else value.hex()] for number, value in attributes(data)]

    def action_options(self, kind, data):
        """Normalises the options of an action. One attribute has the index, another the times."""
        found = []
        for number, value in attributes(data):
            if number & MASK == PARMS.get(kind, 2):
                index = struct.unpack_from("=I", value)[0]
                found.append([number, self.name("index", index), value[4:].hex()])
            elif number & MASK != TIMES_OF.get(kind, 1):
                found.append([number, value.hex()])
        return found

    def options(self, data):
        """Normalises the attributes of a filter."""
        found = []
        for number, value in attributes(data):
            if number == nl.BPF_ID:
                seen = self.name("id", struct.unpack("=I", value)[0])
            elif number & MASK == nl.BPF_ACT:
                seen = [[order, self.action(each)] for order, each in attributes(value)]
            elif number & MASK == nl.BPF_POLICE:
                seen = self.action_options("police", value)
            else:
                seen = value.hex()
            found.append([number, seen])
        return found

    def message(self, message):
        """Normalises a message of the kernel."""
        if isinstance(message, str):
            return message
        kind, payload = message[0], bytes.fromhex(message[1]["bytes"])
        if kind == nl.NLMSG_ERROR:
            return {"errno": -struct.unpack_from("=i", payload)[0]}
        if kind not in (nl.RTM_NEWTFILTER, nl.RTM_DELTFILTER):
            return {"kind": kind, "payload": payload.hex()}
        family, ifindex, handle, parent, info = struct.unpack_from("=BxxxiIII", payload)
        top = [[number, self.options(value) if number & MASK == nl.TCA_OPTIONS else value.hex()]
               for number, value in attributes(payload[20:])]
        return {"kind": kind, "family": family, "handle": handle, "parent": parent, "info": info,
                "ifindex": self.name("if", ifindex) if ifindex > 0 else ifindex, "attributes": top}

    def messages(self, found):
        """Normalises messages of the kernel."""
        return [self.message(each) for each in uncut(found)]

    def packets(self, found):
        """Normalises packets, optionally with lengths. Those of a connection become a set."""
        made, streams = [], set()
        for each in uncut(found):
            if isinstance(each, str):
                # The number of packets in a truncated list: it is a connection.
                continue
            frame, *length = each if isinstance(each, list) else [each]
            packet = Packet(bytes.fromhex(frame["bytes"]))
            if packet.stream:
                streams.add(packet.data.hex())
            else:
                made.append([packet.data.hex(), *length])
        return made + sorted(streams)

    def amount(self, number):
        """Normalises a number of packets. That of a connection is not reproducible."""
        return "some" if number and self.connected else number

    def counted(self, entry):
        """Returns a counter relative to its first value in the scenario."""
        first = self.first.setdefault(json.dumps(entry["words"]), entry["got"])
        return self.amount(entry["got"] - first)

    def entry(self, entry):
        """Normalises one observation. Returns the request and the result."""
        of, seen = entry["of"], None
        asked = [of, *(self.text(word) for word in entry.get("words", []))]
        self.id = "map" if re.match(r"bpftool (-j )?map ", entry.get("command", "")) else "id"
        if of == "sh":
            asked += [self.text(entry["command"]), self.text(entry["input"])]
            seen = {"status": entry["status"], "printed": self.printed(entry["out"])}
        elif of == "request":
            asked.append(entry["kind"])
            seen = {}
        elif of in ("answers", "dump"):
            seen = self.messages(entry["messages"])
        elif "raised" in entry:
            seen = {"raised": entry["raised"]}
        elif of in ("Tun.sent", "Tun.received", "Capture.packets"):
            seen = self.packets(entry["got"])
        elif of == "Pusher.seen":
            packets, refused, error = entry["got"]
            seen = [self.amount(packets), self.amount(refused), error]
        elif of == "Tunnels.received":
            seen = self.counted(entry)
        elif of == "Port.id":
            seen = self.name("id", entry["got"])
        elif of == "filter_events":
            seen = self.tree(entry["got"])
        else:
            self.connected |= of in ("carry", "echo")
            seen = entry["got"]
        return asked, json.loads(json.dumps(seen))
