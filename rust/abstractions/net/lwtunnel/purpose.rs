// SPDX-License-Identifier: GPL-2.0-only

//! The purpose of a tunnel state, and the comparison of our states with those of the built-in ops.

use super::{
    adapter::Adapter,
    state::is_ours,
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
    /// Called by the core under RCU, with two states of `T::TYPE` (see [`Self::input`]).
    pub(crate) unsafe extern "C" fn cmp_encap(
        a: *mut bindings::lwtunnel_state,
        b: *mut bindings::lwtunnel_state,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let same = unsafe {
            match (is_ours(a), is_ours(b)) {
                (true, true) => {
                    let same_headroom = (*a).headroom == (*b).headroom;
                    let (a, b) = (Self::state(a), Self::state(b));
                    let purpose = if a.purpose == Purpose::DelRoute {
                        a.purpose
                    } else {
                        b.purpose
                    };
                    // A new route that shares the state of another route gets the headroom of that
                    // state.
                    (purpose == Purpose::DelRoute || same_headroom)
                        && a.encap.same(&b.encap, purpose)
                }
                (false, false) => return takeover::cmp_encap(T::TYPE, a, b),
                (true, false) => Self::matches(a, b),
                (false, true) => Self::matches(b, a),
            }
        };
        (!same).into()
    }

    /// # Safety
    ///
    /// As for [`Self::build_state`].
    pub(super) unsafe fn purpose(family: c_uint, cfg: *const c_void) -> Purpose {
        if family != bindings::AF_INET {
            return Purpose::NewRoute;
        }
        // SAFETY: By the safety requirements of this function. If there is a netlink header, it is
        // valid for the time of the call.
        let kind = unsafe {
            cfg.cast::<bindings::fib_config>()
                .as_ref()
                .and_then(|cfg| cfg.fc_nlinfo.nlh.as_ref())
                .map(|header| u32::from(header.nlmsg_type))
        };
        if kind == Some(bindings::RTM_DELROUTE) {
            Purpose::DelRoute
        } else {
            Purpose::NewRoute
        }
    }

    /// Returns whether a request to delete a route, for which `ours` was built, means the route of
    /// `theirs`, a state of the built-in ops.
    ///
    /// Returns `false` if `ours` was built for a new route: that route must not share the nexthop
    /// of the other one, because its packets would run the wrong program.
    ///
    /// # Safety
    ///
    /// As for [`Self::cmp_encap`]; `ours` is ours and `theirs` is not.
    pub(super) unsafe fn matches(
        ours: *mut bindings::lwtunnel_state,
        theirs: *mut bindings::lwtunnel_state,
    ) -> bool {
        // If there is no memory for the comparison, the states do not match, and the route stays.
        // SAFETY: By the safety requirements of this function.
        let (ours, theirs) = unsafe {
            let state = Self::state(ours);
            if state.purpose != Purpose::DelRoute {
                return false;
            }
            // The built-in ops do not dump the headroom.
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

/// Returns what `fill` writes, at most `size` bytes. Fails with `ENOMEM` if there is no memory for
/// it.
fn written(size: usize, fill: impl FnOnce(&mut Message<'_>) -> Result) -> Result<MessageBuf> {
    let size = u32::try_from(size).map_err(|_| ENOMEM)?;
    let mut buf = MessageBuf::new(size)?;
    fill(&mut buf.message())?;
    Ok(buf)
}
