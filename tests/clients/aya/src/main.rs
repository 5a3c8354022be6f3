// SPDX-License-Identifier: GPL-2.0-only

//! `aya_tc IFNAME HOOK`: attaches programs by netlink, as a user of aya does.
//!
//! HOOK is `ingress` or `egress`. Reads steps from standard input, one a line, and answers each with
//! a line, `ok` or the error:
//!
//! - `clsact`: adds the qdisc.
//! - `attach OBJECT PRIORITY HANDLE`: attaches the program of an object.
//! - `replace OBJECT`: puts another program in its place.
//! - `detach`: removes it.
//! - `find NAME`: removes all filters of that name, which are looked for in a dump.
//!
//! What is still attached at the end of the input is removed.

use aya::programs::{
    links::Link as _,
    tc::{
        self,
        NlOptions,
        SchedClassifierLink,
        TcAttachOptions, //
    },
    SchedClassifier,
    TcAttachType, //
};
use aya::Ebpf;
use std::{
    env,
    error::Error,
    io, //
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs `f` on the program of an object, which must be called `verdict`. What `f` attached outlives
/// the object.
fn with_program<T>(object: &str, f: impl FnOnce(&mut SchedClassifier) -> Result<T>) -> Result<T> {
    let mut ebpf = Ebpf::load_file(object)?;
    let program = ebpf.program_mut("verdict").ok_or("no program")?;
    let program: &mut SchedClassifier = program.try_into()?;
    program.load()?;
    f(program)
}

fn step(
    interface: &str,
    hook: TcAttachType,
    link: &mut Option<SchedClassifierLink>,
    words: &[&str],
) -> Result<()> {
    match *words {
        ["clsact"] => tc::qdisc_add_clsact(interface)?,
        ["attach", object, priority, handle] => {
            let options = NlOptions {
                priority: priority.parse()?,
                handle: handle.parse()?,
            };
            *link = Some(with_program(object, |program| {
                let options = TcAttachOptions::Netlink(options);
                let id = program.attach_with_options(interface, hook, options)?;
                Ok(program.take_link(id)?)
            })?);
        }
        ["replace", object] => {
            let old = link.take().ok_or("nothing is attached")?;
            *link = Some(with_program(object, |program| {
                let id = program.attach_to_link(old)?;
                Ok(program.take_link(id)?)
            })?);
        }
        ["detach"] => link.take().ok_or("nothing is attached")?.detach()?,
        ["find", name] => tc::qdisc_detach_program(interface, hook, name)?,
        _ => return Err("no such step".into()),
    }
    Ok(())
}

/// An error with what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let interface = args.next().ok_or("IFNAME is missing")?;
    let hook = match args.next().as_deref() {
        Some("ingress") => TcAttachType::Ingress,
        Some("egress") => TcAttachType::Egress,
        _ => return Err("HOOK is ingress or egress".into()),
    };
    let mut link = None;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<_> = line.split_whitespace().collect();
        match step(&interface, hook, &mut link, &words) {
            Ok(()) => println!("ok"),
            Err(error) => println!("{}", chain(&*error)),
        }
    }
    Ok(())
}
