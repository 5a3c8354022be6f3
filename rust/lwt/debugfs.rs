// SPDX-License-Identifier: GPL-2.0-only

//! Statistics of the programs on routes, in `/sys/kernel/debug/lwtcls/`.
//!
//! `routes` is the human-readable form, `routes.json` the machine-readable one.

use super::{
    counters::Event,
    BpfEncap,
    HookCtx,
    HookType, //
};
use crate::abstractions::net::lwtunnel::{
    DebugfsDir,
    Family,
    Registration,
    RouteOwner,
    StateFile, //
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
pub(crate) fn create_files<M: ModuleMetadata>(
    registration: &Registration<BpfEncap>,
) -> DebugfsDir<BpfEncap> {
    let directory = DebugfsDir::new(c"lwtcls", registration);
    directory.file::<RoutesText, M>();
    directory.file::<RoutesJson, M>();
    directory
}

/// Calls `f` for each program of a route.
fn for_each(encap: &BpfEncap, owner: RouteOwner, f: impl Fn(&ProgRecord<'_>)) {
    let hooks = [
        encap.cx(&encap.input).map(|cx| ProgRecord::new(owner, cx)),
        encap.cx(&encap.output).map(|cx| ProgRecord::new(owner, cx)),
        encap.cx(&encap.xmit).map(|cx| ProgRecord::new(owner, cx)),
    ];
    hooks.iter().flatten().for_each(f);
}

/// One record of a file: a program on a route.
struct ProgRecord<'a> {
    owner: RouteOwner,
    hook: &'static CStr,
    name: &'a CStr,
    id: u32,
    tag: &'a [u8; 8],
    runs: u64,
    counts: [u64; Event::ALL.len()],
}

impl<'a> ProgRecord<'a> {
    fn new<P: HookType>(owner: RouteOwner, cx: HookCtx<'a, P>) -> Self {
        let (runs, counts) = cx.counts();
        let hook = cx.hook;
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
        Event::ALL
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
struct JsonStr<'a>(&'a CStr);

impl fmt::Display for JsonStr<'_> {
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
enum RoutesText {}

impl StateFile<BpfEncap> for RoutesText {
    const NAME: &'static CStr = c"routes";

    fn show(encap: &BpfEncap, owner: RouteOwner, file: &SeqFile) {
        for_each(encap, owner, |record| {
            seq_print!(
                file,
                "net {} {} {} {} id {} tag {} runs {}",
                record.owner.net.get(),
                record.family(),
                record.hook,
                JsonStr(record.name),
                record.id,
                Tag(record.tag),
                record.runs,
            );
            for (key, count) in record.counts().filter(|&(_, count)| count != 0) {
                seq_print!(file, " {} {}", key, count);
            }
            seq_print!(file, "\n");
        });
    }
}

/// The file `routes.json`: one line per program, each a JSON object.
enum RoutesJson {}

impl StateFile<BpfEncap> for RoutesJson {
    const NAME: &'static CStr = c"routes.json";

    fn show(encap: &BpfEncap, owner: RouteOwner, file: &SeqFile) {
        for_each(encap, owner, |record| {
            seq_print!(
                file,
                "{{\"net\":{},\"family\":\"{}\",\"hook\":\"{}\",\"name\":{},\"id\":{},\
                 \"tag\":\"{}\",\"runs\":{}",
                record.owner.net.get(),
                record.family(),
                record.hook,
                JsonStr(record.name),
                record.id,
                Tag(record.tag),
                record.runs,
            );
            for (key, count) in record.counts() {
                seq_print!(file, ",\"{}\":{}", key, count);
            }
            seq_print!(file, "}}\n");
        });
    }
}
