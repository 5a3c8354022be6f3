// SPDX-License-Identifier: GPL-2.0-only

//! `aya_tc IFNAME HOOK`: attaches programs by netlink, as a user of aya does.
//!
//! HOOK is `ingress` or `egress`. Reads one step per line from standard input, and prints `ok` or
//! the error for each:
//!
//! - `clsact`: adds the qdisc.
//! - `attach OBJECT PRIORITY HANDLE`: attaches the program of an object.
//! - `replace OBJECT`: replaces the attached program.
//! - `detach`: detaches it.
//! - `find NAME`: finds all filters with this name in a dump, and deletes them.
//!
//! At the end of the input, what is still attached is detached.

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

/// Runs `f` on the program of an object, which must have the name `verdict`. The link that `f`
/// returns outlives the object.
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

/// Returns an error and its causes in one line.
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
