// SPDX-License-Identifier: GPL-2.0-only

//! Statistics of the programs on routes, in `/sys/kernel/debug/lwtcls/`.
//!
//! `routes` is the human-readable form, `routes.json` the machine-readable one.

use super::{
    counters::Counted,
    BpfEncap,
    HookType,
    Site, //
};
use crate::abstractions::net::lwtunnel::{
    Directory,
    Family,
    Owner,
    Record,
    Registration, //
};
use kernel::{
    fmt,
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    },
    ModuleMetadata, //
};

/// Creates the files of the module `M`. Dropping the directory removes them.
pub(crate) fn files<M: ModuleMetadata>(
    registration: &Registration<BpfEncap>,
) -> Directory<BpfEncap> {
    let directory = Directory::new(c"lwtcls", registration);
    directory.file::<Text, M>();
    directory.file::<Json, M>();
    directory
}

/// Calls `f` for each program of a route.
fn for_each(encap: &BpfEncap, owner: Owner, f: impl Fn(&Line<'_>)) {
    let hooks = [
        encap.site(&encap.input).map(|site| Line::new(owner, site)),
        encap.site(&encap.output).map(|site| Line::new(owner, site)),
        encap.site(&encap.xmit).map(|site| Line::new(owner, site)),
    ];
    hooks.iter().flatten().for_each(f);
}

/// One record of a file: a program on a route.
struct Line<'a> {
    owner: Owner,
    hook: &'static CStr,
    name: &'a CStr,
    id: u32,
    tag: &'a [u8; 8],
    runs: u64,
    counts: [u64; Counted::ALL.len()],
}

impl<'a> Line<'a> {
    fn new<P: HookType>(owner: Owner, site: Site<'a, P>) -> Self {
        let (runs, counts) = site.counts();
        let hook = site.hook;
        Self {
            owner,
            hook: P::NAME,
            name: hook.name.as_cstr(),
            id: hook.prog.id(),
            tag: hook.prog.tag(),
            runs,
            counts,
        }
    }

    fn family(&self) -> &'static str {
        if self.owner.family == Family::INET {
            "inet"
        } else {
            "inet6"
        }
    }

    fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Counted::ALL
            .iter()
            .map(|&(what, key)| (key, self.counts[what as usize]))
    }
}

struct Tag<'a>(&'a [u8; 8]);

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| f.write_fmt(fmt!("{:02x}", byte)))
    }
}

/// Formats a name as a JSON string.
///
/// A name may contain any bytes. Bytes outside printable ASCII are escaped as `\u00XX`.
struct Quoted<'a>(&'a CStr);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        self.0.to_bytes().iter().try_for_each(|&byte| match byte {
            b'"' | b'\\' => f.write_fmt(fmt!("\\{}", char::from(byte))),
            b' '..=b'~' => f.write_fmt(fmt!("{}", char::from(byte))),
            _ => f.write_fmt(fmt!("\\u{:04x}", byte)),
        })?;
        f.write_str("\"")
    }
}

/// The file `routes`: one line per program. Counters that are 0 are left out.
enum Text {}

impl Record<BpfEncap> for Text {
    const NAME: &'static CStr = c"routes";

    fn show(encap: &BpfEncap, owner: Owner, file: &SeqFile) {
        for_each(encap, owner, |line| {
            seq_print!(
                file,
                "net {} {} {} {} id {} tag {} runs {}",
                line.owner.net.get(),
                line.family(),
                line.hook,
                Quoted(line.name),
                line.id,
                Tag(line.tag),
                line.runs,
            );
            for (key, count) in line.counts().filter(|&(_, count)| count != 0) {
                seq_print!(file, " {} {}", key, count);
            }
            seq_print!(file, "\n");
        });
    }
}

/// The file `routes.json`: one line per program, each a JSON object.
enum Json {}

impl Record<BpfEncap> for Json {
    const NAME: &'static CStr = c"routes.json";

    fn show(encap: &BpfEncap, owner: Owner, file: &SeqFile) {
        for_each(encap, owner, |line| {
            seq_print!(
                file,
                "{{\"net\":{},\"family\":\"{}\",\"hook\":\"{}\",\"name\":{},\"id\":{},\
                 \"tag\":\"{}\",\"runs\":{}",
                line.owner.net.get(),
                line.family(),
                line.hook,
                Quoted(line.name),
                line.id,
                Tag(line.tag),
                line.runs,
            );
            for (key, count) in line.counts() {
                seq_print!(file, ",\"{}\":{}", key, count);
            }
            seq_print!(file, "}}\n");
        });
    }
}
