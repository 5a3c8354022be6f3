// SPDX-License-Identifier: GPL-2.0-only

//! The callbacks of `struct tcf_proto_ops`, which call a [`Classifier`].

use super::{
    table::FilterTable,
    Change,
    ClassResult,
    Classifier,
    FilterRef,
    OffloadDevice,
    RequestFlags,
    TcSkb,
    Tca,
    TcfProto, //
};
use crate::abstractions::{
    bindings,
    compat::ENOBUFS,
    net::netlink::ExtAck,
    sync::{
        bottom_half::BhDisabled,
        rtnl::{
            Rtnl,
            RtnlState, //
        }, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// The callbacks by which the core calls `T`.
pub(crate) struct Adapter<T>(PhantomData<T>);

impl<T: Classifier> Adapter<T> {
    /// Returns the tcf_proto that the core passes to a callback.
    ///
    /// # Safety
    ///
    /// `tp` is a tcf_proto of this classifier, between `init` and `destroy`, and the caller keeps
    /// it alive for `'a`.
    pub(super) unsafe fn proto<'a>(tp: *mut bindings::tcf_proto) -> TcfProto<'a, T> {
        // SAFETY: `init` stored the table, and `destroy` is called when nobody holds `tp` any more.
        let filters = unsafe { FilterTable::of(tp) };
        // SAFETY: By the safety requirements of this function. The table is that of `tp`.
        unsafe { TcfProto::new(tp, filters) }
    }

    /// # Safety
    ///
    /// Called by the core, with bottom halves off, for a tcf_proto of this classifier.
    #[inline(always)]
    pub(crate) unsafe extern "C" fn classify(
        skb: *mut bindings::sk_buff,
        tp: *const bindings::tcf_proto,
        result: *mut bindings::tcf_result,
    ) -> c_int {
        // SAFETY: `init` stored the table. Disabled bottom halves are an RCU read side, in which
        // the core found `tp`.
        let filters = unsafe { FilterTable::<T>::of(tp) };
        // SAFETY: The core lends the packet for the time of the call.
        let skb = unsafe { TcSkb::from_raw(skb) };
        // SAFETY: The core lends the result for the time of the call.
        let result = unsafe { &mut *result.cast::<ClassResult>() };
        // SAFETY: Bottom halves are off by the safety requirements of this function.
        let bh = unsafe { BhDisabled::assume() };
        T::classify(filters.iter(&bh.read_side()), skb, result, &bh).code()
    }

    /// # Safety
    ///
    /// Called by the core for a new tcf_proto, which nobody else has access to yet.
    pub(crate) unsafe extern "C" fn init(tp: *mut bindings::tcf_proto) -> c_int {
        from_result(|| {
            // SAFETY: By the safety requirements of this function.
            unsafe { FilterTable::<T>::store(tp) }.map_err(|_| ENOBUFS)?;
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core once, for a tcf_proto of this classifier that packets and requests cannot
    /// find any more. RTNL is held if `rtnl_held`.
    pub(crate) unsafe extern "C" fn destroy(
        tp: *mut bindings::tcf_proto,
        rtnl_held: bool,
        extack: *mut bindings::netlink_ext_ack,
    ) {
        // SAFETY: By the safety requirements of this function.
        let proto = unsafe { Self::proto(tp) };
        // SAFETY: By the safety requirements of this function.
        let caller = unsafe { RtnlState::new(rtnl_held) };
        // SAFETY: The extack is valid for the time of the call.
        let mut extack = unsafe { ExtAck::from_raw(extack) };
        {
            let mut has_class = false;
            let _ = proto.filters().for_each(|filter| {
                has_class |= filter.class().is_some();
                Ok(())
            });
            let writer = proto.writer(&caller, has_class);
            T::destroy(&writer, &mut extack);
            let _ = proto.filters().for_each(|filter| {
                writer.unbind(filter);
                Ok(())
            });
        }
        // SAFETY: By the safety requirements of this function only packets still use the table.
        unsafe { proto.filters().detach() };
        // SAFETY: `init` stored the table. By the safety requirements of this function only packets
        // still use it.
        unsafe { FilterTable::<T>::queue(tp) };
    }

    /// # Safety
    ///
    /// Called by the core for a tcf_proto of this classifier that it holds. The core passes the
    /// returned reference to `put`, `change` or `delete`.
    pub(crate) unsafe extern "C" fn get(tp: *mut bindings::tcf_proto, handle: u32) -> *mut c_void {
        // SAFETY: By the safety requirements of this function.
        let proto = unsafe { Self::proto(tp) };
        proto
            .filters()
            .get(handle)
            .map_or(core::ptr::null_mut(), FilterRef::into_raw)
    }

    /// # Safety
    ///
    /// Called by the core for a tcf_proto of this classifier that it holds, with a reference to a
    /// filter that `get` or `change` returned.
    pub(crate) unsafe extern "C" fn put(tp: *mut bindings::tcf_proto, filter: *mut c_void) {
        // SAFETY: By the safety requirements of this function.
        let tp = unsafe { Self::proto(tp) };
        // SAFETY: By the safety requirements of this function. The core gives up the reference.
        drop(unsafe { FilterRef::from_raw(tp.filters(), filter) });
    }

    /// # Safety
    ///
    /// Called by the core for a tcf_proto of this classifier that it holds, with RTNL held unless
    /// `flags` say otherwise. `in_skb` begins with the request, and `tca` is the parsed request.
    /// `arg` contains what `get` returned, null or a reference that the core gives up, and receives
    /// the reference to the new filter.
    pub(crate) unsafe extern "C" fn change(
        net: *mut bindings::net,
        in_skb: *mut bindings::sk_buff,
        tp: *mut bindings::tcf_proto,
        base: c_ulong,
        handle: u32,
        tca: *mut *mut bindings::nlattr,
        arg: *mut *mut c_void,
        flags: u32,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let tp = unsafe { Self::proto(tp) };
        // SAFETY: The extack is valid for the time of the call.
        let mut extack = unsafe { ExtAck::from_raw(extack) };
        // SAFETY: `arg` is valid for the time of the call.
        let old = unsafe { *arg };
        let change = Change {
            tp,
            // SAFETY: By the safety requirements of this function.
            caller: unsafe { RtnlState::new(flags & bindings::TCA_ACT_FLAGS_NO_RTNL == 0) },
            handle,
            base,
            // SAFETY: The core parsed the request into a table of that size.
            tca: unsafe { Tca::from_raw(tca) },
            // SAFETY: By the safety requirements of this function.
            old: unsafe { FilterRef::from_raw(tp.filters(), old) },
            // SAFETY: By the safety requirements of this function.
            request_flags: unsafe { RequestFlags::of(in_skb) },
            net,
            flags,
        };
        from_result(|| {
            let filter = T::change(change, &mut extack)?;
            // SAFETY: `arg` is valid for the time of the call.
            unsafe { *arg = filter.into_raw() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a tcf_proto of this classifier that it holds, with a reference to a
    /// filter that `get` returned, which the core gives up. RTNL is held if `rtnl_held`.
    pub(crate) unsafe extern "C" fn delete(
        tp: *mut bindings::tcf_proto,
        filter: *mut c_void,
        last: *mut bool,
        rtnl_held: bool,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let tp = unsafe { Self::proto(tp) };
        // SAFETY: By the safety requirements of this function.
        let caller = unsafe { RtnlState::new(rtnl_held) };
        // SAFETY: The extack is valid for the time of the call.
        let mut extack = unsafe { ExtAck::from_raw(extack) };
        // SAFETY: By the safety requirements of this function. The core gives up the reference.
        let filter = unsafe { FilterRef::from_raw(tp.filters(), filter) };
        from_result(|| {
            let filter = filter.ok_or(ENOENT)?;
            {
                let writer = tp.writer(&caller, filter.class().is_some());
                T::delete(&writer, &filter, &mut extack)?;
            }
            drop(filter);
            // A hint: the core calls `delete_empty` before it acts on `last`.
            // SAFETY: `last` is valid for the time of the call.
            unsafe { *last = tp.filters().looks_empty() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core for a tcf_proto of this classifier that it holds.
    pub(crate) unsafe extern "C" fn delete_empty(tp: *mut bindings::tcf_proto) -> bool {
        // SAFETY: By the safety requirements of this function.
        unsafe { Self::proto(tp) }.close_if_empty()
    }

    /// # Safety
    ///
    /// Called by the core with RTNL and the block's `cb_lock` held, for a tcf_proto of this
    /// classifier that it holds. `callback` is the callback of a device, and `private` its
    /// argument.
    pub(crate) unsafe extern "C" fn reoffload(
        tp: *mut bindings::tcf_proto,
        add: bool,
        callback: bindings::flow_setup_cb_t,
        private: *mut c_void,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let tp = unsafe { Self::proto(tp) };
        // SAFETY: By the safety requirements of this function.
        let device = unsafe { OffloadDevice::new(tp, callback, private) };
        // SAFETY: The extack is valid for the time of the call.
        let mut extack = unsafe { ExtAck::from_raw(extack) };
        from_result(|| T::reoffload(&device, add, &mut extack).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held, with a filter that `walk` passed to it.
    pub(crate) unsafe extern "C" fn bind_class(
        filter: *mut c_void,
        classid: u32,
        class: c_ulong,
        qdisc: *mut c_void,
        base: c_ulong,
    ) {
        // SAFETY: By the safety requirements of this function.
        if let Some((_, filter)) = unsafe { FilterRef::<T>::borrow(filter) } {
            // SAFETY: By the safety requirements of this function.
            let rtnl = unsafe { Rtnl::assume_held() };
            let bound = filter.class();
            // SAFETY: The arguments are those of this function, for a filter with this class.
            unsafe { bound.rebind(&rtnl, classid, class, qdisc, base) };
        }
    }
}
