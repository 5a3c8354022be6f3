// SPDX-License-Identifier: GPL-2.0-only

//! What programs on routes did, in `/sys/kernel/debug/lwtcls/`: `routes` for people, `routes.json`
//! for programs.

use super::{
    counters::Counted,
    BpfEncap,
    Hook,
    HookType, //
};
use crate::abstractions::net::{
    lwtunnel::{
        Family,
        Owner,
        Registration, //
    },
    namespace::Visible, //
};
use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    fmt,
    prelude::*,
    sync::Arc, //
};

type Routes = Arc<Registration<BpfEncap>>;

/// The files. Their drop waits for who reads them.
#[pin_data]
pub(crate) struct Files {
    #[pin]
    text: File<Routes>,
    #[pin]
    json: File<Routes>,
    _dir: Dir,
}

impl Files {
    /// Makes the files. Without debugfs, or memory for it, they are not there, and nobody misses
    /// them.
    pub(crate) fn new(routes: &Routes) -> impl PinInit<Self, Error> {
        let (for_text, for_json) = (routes.clone(), routes.clone());
        let dir = Dir::new(c"lwtcls");
        try_pin_init!(Self {
            text <- dir.read_callback_file(c"routes", for_text, &write_text),
            json <- dir.read_callback_file(c"routes.json", for_json, &write_json),
            _dir: dir,
        })
    }
}

/// Shows `f` each program on a route that the reader may see.
fn for_each(
    routes: &Routes,
    mut f: impl FnMut(&Line<'_>) -> fmt::Result,
) -> fmt::Result {
    let visible = Visible::to_current();
    routes.for_each(|encap, owner| {
        if !visible.contains(owner.net) {
            return Ok(());
        }
        let hooks = [
            encap.input.as_ref().map(|hook| Line::new(owner, hook)),
            encap.output.as_ref().map(|hook| Line::new(owner, hook)),
            encap.xmit.as_ref().map(|hook| Line::new(owner, hook)),
        ];
        hooks.iter().flatten().try_for_each(&mut f)
    })
}

/// A program on a route.
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
    fn new<P: HookType>(owner: Owner, hook: &'a Hook<P>) -> Self {
        let (runs, counts) = hook.counters.read();
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
        Counted::ALL.iter().map(|&(what, key)| (key, self.counts[what as usize]))
    }
}

struct Tag<'a>(&'a [u8; 8]);

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| f.write_fmt(fmt!("{:02x}", byte)))
    }
}

/// A name, which may be of any bytes, in one word.
struct Word<'a>(&'a CStr);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_bytes().iter().try_for_each(|&byte| match byte {
            b'\\' => f.write_str("\\\\"),
            b'!'..=b'~' => f.write_fmt(fmt!("{}", char::from(byte))),
            _ => f.write_fmt(fmt!("\\x{:02x}", byte)),
        })
    }
}

/// A name, which may be of any bytes, in a string of JSON: a byte that is not ASCII as the character
/// of that number.
struct Quoted<'a>(&'a CStr);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_bytes().iter().try_for_each(|&byte| match byte {
            b'"' | b'\\' => f.write_fmt(fmt!("\\{}", char::from(byte))),
            b' '..=b'~' => f.write_fmt(fmt!("{}", char::from(byte))),
            _ => f.write_fmt(fmt!("\\u{:04x}", byte)),
        })
    }
}

/// One line for each program.
fn write_text(routes: &Routes, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for_each(routes, |line| {
        f.write_fmt(fmt!(
            "net {} {} {} {} id {} tag {} runs {}",
            line.owner.net.get(),
            line.family(),
            line.hook.to_str().unwrap_or(""),
            Word(line.name),
            line.id,
            Tag(line.tag),
            line.runs,
        ))?;
        // What has not come to pass is nothing to read.
        for (key, count) in line.counts().filter(|&(_, count)| count != 0) {
            f.write_fmt(fmt!(" {} {}", key, count))?;
        }
        f.write_str("\n")
    })
}

/// An array of objects.
fn write_json(routes: &Routes, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut before = "[";
    for_each(routes, |line| {
        f.write_fmt(fmt!(
            "{}\n{{\"net\":{},\"family\":\"{}\",\"hook\":\"{}\",\"name\":\"{}\",\"id\":{},\
             \"tag\":\"{}\",\"runs\":{}",
            before,
            line.owner.net.get(),
            line.family(),
            line.hook.to_str().unwrap_or(""),
            Quoted(line.name),
            line.id,
            Tag(line.tag),
            line.runs,
        ))?;
        for (key, count) in line.counts() {
            f.write_fmt(fmt!(",\"{}\":{}", key, count))?;
        }
        before = ",";
        f.write_str("}")
    })?;
    f.write_str(if before == "[" { "[]\n" } else { "\n]\n" })
}
