// SPDX-License-Identifier: GPL-2.0-only

//! The callbacks by which the core walks and dumps filters.

use super::{
    adapter::Adapter,
    Classifier,
    Filter,
    FilterRef, //
};
use crate::abstractions::{
    bindings,
    net::netlink::Message,
    sync::rtnl::RtnlState, //
};
use kernel::prelude::*;

impl<T: Classifier> Adapter<T> {
    /// Passes filters to the core, beginning with the one at which the last call for the same dump
    /// stopped.
    ///
    /// # Safety
    ///
    /// Called by the core for a tcf_proto of this classifier that it holds, with a walker that the
    /// core owns.
    pub(crate) unsafe extern "C" fn walk(
        tp: *mut bindings::tcf_proto,
        walker: *mut bindings::tcf_walker,
        _rtnl_held: bool,
    ) {
        // SAFETY: By the safety requirements of this function.
        let filters = unsafe { Self::proto(tp) }.filters();
        // No reference to the walker is created, because the callback gets the pointer, too, and
        // may access a structure that contains the walker.
        // SAFETY: The walker is valid for the time of the call.
        let visit = unsafe { (*walker).fn_ };
        // SAFETY: The walker is valid for the time of the call.
        let skip = unsafe { (*walker).skip };
        // SAFETY: The walker is valid for the time of the call.
        let cookie = unsafe { (*walker).cookie };

        let mut at = match cookie {
            // The number of filters that earlier calls have counted. It is not negative.
            0 => filters.nth(skip as usize),
            cookie => filters.at_cookie(cookie),
        };
        let mut count = skip;
        let mut stopped = None;
        while let Some(filter) = at {
            // SAFETY: The walker is valid for the time of the call.
            unsafe { (*walker).count = count };
            let raw = filter.as_raw();
            // SAFETY: The core passed the function to be called here, and the reference keeps the
            // filter valid during the call.
            let wants_more = visit.is_some_and(|visit| unsafe { visit(tp, raw, walker) } >= 0);
            if !wants_more {
                stopped = Some(filters.dump_cookie(&filter));
                break;
            }
            at = filters.next(Some(&filter));
            count += 1;
        }
        // SAFETY: The walker is valid for the time of the call.
        unsafe { (*walker).count = count };
        // SAFETY: The walker is valid for the time of the call.
        unsafe { (*walker).cookie = stopped.unwrap_or(0) };
        if stopped.is_some() {
            // SAFETY: The walker is valid for the time of the call.
            unsafe { (*walker).stop = 1 };
        }
    }

    /// # Safety
    ///
    /// Called by the core for a tcf_proto of this classifier that it holds, with null or one of its
    /// filters, which a reference keeps valid, and a netlink message that is being built, whose
    /// header is `header`. RTNL is held if `rtnl_held`.
    pub(crate) unsafe extern "C" fn dump(
        _net: *mut bindings::net,
        tp: *mut bindings::tcf_proto,
        filter: *mut c_void,
        skb: *mut bindings::sk_buff,
        header: *mut bindings::tcmsg,
        rtnl_held: bool,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let caller = unsafe { RtnlState::new(rtnl_held) };
        // SAFETY: By the safety requirements of this function.
        let tp = unsafe { Self::proto(tp) };
        let dump =
            |filter: &Filter<T>, message: &mut Message<'_>| T::dump(&caller, &tp, filter, message);
        // SAFETY: By the safety requirements of this function.
        unsafe { Self::write(filter, skb, header, dump) }
    }

    /// # Safety
    ///
    /// As for [`Self::dump`].
    pub(crate) unsafe extern "C" fn terse_dump(
        _net: *mut bindings::net,
        _tp: *mut bindings::tcf_proto,
        filter: *mut c_void,
        skb: *mut bindings::sk_buff,
        header: *mut bindings::tcmsg,
        _rtnl_held: bool,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe { Self::write(filter, skb, header, T::terse_dump) }
    }

    /// # Safety
    ///
    /// The arguments are those of [`Self::dump`].
    unsafe fn write(
        filter: *mut c_void,
        skb: *mut bindings::sk_buff,
        header: *mut bindings::tcmsg,
        f: impl FnOnce(&Filter<T>, &mut Message<'_>) -> Result,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        if let Some((handle, filter)) = unsafe { FilterRef::<T>::borrow(filter) } {
            // SAFETY: The header is valid for the time of the call.
            unsafe { (*header).tcm_handle = handle };
            // SAFETY: The message is valid for the time of the call.
            let mut message = unsafe { Message::from_raw(skb) };
            if f(filter, &mut message).is_err() {
                return -1;
            }
        }
        // SAFETY: The message is valid.
        unsafe { (*skb).len as c_int }
    }
}
