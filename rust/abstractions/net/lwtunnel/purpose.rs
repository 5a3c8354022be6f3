// SPDX-License-Identifier: GPL-2.0-only

//! What a request wants a tunnel state for, and whether a state is the one that it names.

use super::{
    adapter::Adapter,
    takeover,
    Encap,
    Purpose, //
};
use crate::abstractions::{
    bindings,
    net::netlink::{
        Message,
        MessageBuf, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

impl<T: Encap> Adapter<T> {
    /// # Safety
    ///
    /// As for [`Self::build_state`].
    pub(super) unsafe fn purpose(family: c_uint, cfg: *const c_void) -> Purpose {
        if family != bindings::AF_INET {
            return Purpose::Route;
        }
        // SAFETY: By the safety requirements of this function. A request that has a header is there
        // for as long as the call takes.
        let kind = unsafe {
            cfg.cast::<bindings::fib_config>()
                .as_ref()
                .and_then(|cfg| cfg.fc_nlinfo.nlh.as_ref())
                .map(|header| u32::from(header.nlmsg_type))
        };
        if kind == Some(bindings::RTM_DELROUTE) {
            Purpose::Match
        } else {
            Purpose::Route
        }
    }

    /// Whether a request that names `ours` to have a route deleted means the one that `theirs`, of
    /// whom the slot was taken over from, belongs to. Routes that stay do not share what they have:
    /// their packets would run the wrong program.
    ///
    /// # Safety
    ///
    /// As for [`Self::cmp_encap`]; `ours` is ours and `theirs` is not.
    pub(super) unsafe fn matches(
        ours: *mut bindings::lwtunnel_state,
        theirs: *mut bindings::lwtunnel_state,
    ) -> bool {
        // What cannot be read for want of memory is left alone.
        // SAFETY: By the safety requirements of this function.
        let (ours, theirs) = unsafe {
            let state = Self::state(ours);
            if state.purpose != Purpose::Match {
                return false;
            }
            // Of the headroom the kernel's own writes nothing.
            let ours = written(state.encap.size(), |message| state.encap.fill(0, message));
            let theirs = written(
                takeover::get_encap_size(T::TYPE, theirs).max(0) as usize,
                |message| to_result(takeover::fill_encap(T::TYPE, message.as_ptr(), theirs)),
            );
            (ours, theirs)
        };
        ours.is_ok_and(|ours| theirs.is_ok_and(|theirs| ours.bytes() == theirs.bytes()))
    }
}

/// What `fill` writes, `size` bytes at most. `ENOMEM` if there is no memory for that.
fn written(size: usize, fill: impl FnOnce(&mut Message<'_>) -> Result) -> Result<MessageBuf> {
    let size = u32::try_from(size).map_err(|_| ENOMEM)?;
    let mut buf = MessageBuf::new(size)?;
    fill(&mut buf.message())?;
    Ok(buf)
}
