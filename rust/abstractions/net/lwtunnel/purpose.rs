// SPDX-License-Identifier: GPL-2.0-only

//! The purpose of a tunnel state, and the comparison of our states with those of the built-in ops.

use super::{
    adapter::Adapter,
    state::State,
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
        let ours_a = unsafe { Self::ours(a) };
        // SAFETY: By the safety requirements of this function.
        let ours_b = unsafe { Self::ours(b) };
        let same = match (ours_a, ours_b) {
            (Some(ours_a), Some(ours_b)) => {
                // SAFETY: The state is valid by the safety requirements of this function.
                let headroom_a = unsafe { (*a).headroom };
                // SAFETY: The state is valid by the safety requirements of this function.
                let headroom_b = unsafe { (*b).headroom };
                let purpose = if ours_a.purpose == Purpose::DelRoute {
                    ours_a.purpose
                } else {
                    ours_b.purpose
                };
                // A new route that shares the state of another route gets the headroom of that
                // state.
                (purpose == Purpose::DelRoute || headroom_a == headroom_b)
                    && ours_a.encap.same(&ours_b.encap, purpose)
            }
            // SAFETY: By the safety requirements of this function, and neither state is ours.
            (None, None) => return unsafe { takeover::cmp_encap(T::TYPE, a, b) },
            // SAFETY: By the safety requirements of this function, and the state `b` is not ours.
            (Some(ours), None) => unsafe { Self::matches(ours, b) },
            // SAFETY: By the safety requirements of this function, and the state `a` is not ours.
            (None, Some(ours)) => unsafe { Self::matches(ours, a) },
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
        // SAFETY: By the safety requirements of this function.
        let cfg = unsafe { cfg.cast::<bindings::fib_config>().as_ref() };
        // SAFETY: If there is a netlink header, it is valid for the time of the call.
        let header = cfg.and_then(|cfg| unsafe { cfg.fc_nlinfo.nlh.as_ref() });
        let kind = header.map(|header| u32::from(header.nlmsg_type));
        if kind == Some(bindings::RTM_DELROUTE) {
            Purpose::DelRoute
        } else {
            Purpose::NewRoute
        }
    }

    /// Returns whether the delete request that `ours` was built for matches the route with the
    /// built-in state `theirs`.
    ///
    /// Returns `false` if `ours` was built for a new route: that route must not share the nexthop
    /// of the other one, because its packets would run the wrong program.
    ///
    /// # Safety
    ///
    /// As for [`Self::cmp_encap`]; `theirs` is not ours.
    pub(super) unsafe fn matches(ours: &State<T>, theirs: *mut bindings::lwtunnel_state) -> bool {
        if ours.purpose != Purpose::DelRoute {
            return false;
        }
        // If there is no memory for the comparison, the states do not match, and the route stays.
        // The built-in ops do not dump the headroom.
        let ours = written(ours.encap.size(), |message| ours.encap.fill(0, message));
        // SAFETY: By the safety requirements of this function.
        let size = unsafe { takeover::get_encap_size(T::TYPE, theirs) };
        let theirs = written(size.max(0) as usize, |message| {
            // SAFETY: By the safety requirements of this function. The message is exclusively
            // borrowed.
            to_result(unsafe { takeover::fill_encap(T::TYPE, message.as_ptr(), theirs) })
        });
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
