// SPDX-License-Identifier: GPL-2.0-only

//! The callbacks of `struct tcf_proto_ops`, which call a [`Classifier`].

use super::{
    rcu_work::RcuWorkBox,
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
    net::netlink::{
        ExtAck,
        Message, //
    },
    sync::{
        bottom_half::BhDisabled,
        rcu,
        rtnl::{
            Rtnl, //
            RtnlState,
        }, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

/// What `tp->root` points to.
type Root<T> = RcuWorkBox<FilterTable<T>>;

/// The callbacks by which the core calls `T`.
pub(crate) struct Adapter<T>(PhantomData<T>);

impl<T: Classifier> Adapter<T> {
    /// Returns the tcf_proto of a request.
    ///
    /// # Safety
    ///
    /// `tp` is a tcf_proto of this classifier, between `init` and `destroy`, and the caller keeps
    /// it alive for `'a`.
    unsafe fn proto<'a>(tp: *mut bindings::tcf_proto) -> TcfProto<'a, T> {
        // SAFETY: `init` stored a table there, which is valid until nobody holds `tp` any more.
        unsafe {
            let root = rcu::dereference(&raw const (*tp).root).cast::<Root<T>>();
            TcfProto::new(NonNull::new_unchecked(tp), &(*root).value)
        }
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
        // SAFETY: `init` stored a table there. It is freed after a grace period, and disabled
        // bottom halves are an RCU read side.
        let filters = unsafe {
            let root = rcu::dereference(&raw const (*tp).root).cast::<Root<T>>();
            &(*root).value
        };
        // SAFETY: The core lends both for the time of the call.
        let (skb, result) = unsafe { (TcSkb::from_raw(skb), &mut *result.cast::<ClassResult>()) };
        // SAFETY: Bottom halves are off by the safety requirements of this function.
        let bh = unsafe { BhDisabled::assume() };
        T::classify(filters.iter(&bh.read_side()), skb, result, &bh).code()
    }

    /// # Safety
    ///
    /// Called by the core for a new tcf_proto, which nobody else has access to yet.
    pub(crate) unsafe extern "C" fn init(tp: *mut bindings::tcf_proto) -> c_int {
        from_result(|| {
            let root = Root::<T>::new(FilterTable::new()).map_err(|_| ENOBUFS)?;
            // SAFETY: The table does not move. `destroy` takes it back.
            unsafe {
                let root = KBox::into_raw(Pin::into_inner_unchecked(root));
                bindings::rcu_assign_pointer(&raw mut (*tp).root, root.cast());
            }
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
        // SAFETY: By the safety requirements of this function. The extack is valid for the time of
        // the call.
        let (proto, caller, mut extack) = unsafe {
            (
                Self::proto(tp),
                RtnlState::new(rtnl_held),
                ExtAck::from_raw(extack),
            )
        };
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
        // SAFETY: `init` stored the pointer, which comes from a box. `RcuWorkBox::queue` waits for
        // packets that still use the table. No request uses it, by the safety requirements of this
        // function.
        unsafe {
            proto.filters().detach();
            let root = rcu::dereference(&raw const (*tp).root).cast::<Root<T>>();
            Root::queue(root);
        }
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
        // SAFETY: By the safety requirements of this function. The core gives up the reference.
        drop(unsafe { FilterRef::from_raw(Self::proto(tp).filters(), filter) });
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
        let change = Change {
            tp,
            // SAFETY: By the safety requirements of this function.
            caller: unsafe { RtnlState::new(flags & bindings::TCA_ACT_FLAGS_NO_RTNL == 0) },
            handle,
            base,
            // SAFETY: The core parsed the request into a table of that size.
            tca: unsafe { Tca::from_raw(tca) },
            // SAFETY: By the safety requirements of this function.
            old: unsafe { FilterRef::from_raw(tp.filters(), *arg) },
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
        // SAFETY: By the safety requirements of this function. The extack is valid for the time of
        // the call.
        let (caller, mut extack, filter) = unsafe {
            (
                RtnlState::new(rtnl_held),
                ExtAck::from_raw(extack),
                FilterRef::from_raw(tp.filters(), filter),
            )
        };
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
        // SAFETY: The walker is valid for the time of the call. No reference to it is created,
        // because the callback gets the pointer, too, and may access a structure that contains the
        // walker.
        let (visit, skip, cookie) = unsafe { ((*walker).fn_, (*walker).skip, (*walker).cookie) };

        let mut at = match cookie {
            // The number of filters that earlier calls have counted. It is not negative.
            0 => filters.nth(skip as usize),
            cookie => filters.from_cookie(cookie),
        };
        let mut count = skip;
        let mut stopped = None;
        while let Some(filter) = at {
            // SAFETY: The core passed the function to be called here, and the reference keeps the
            // filter valid during the call.
            let wants_more = visit.is_some_and(|visit| unsafe {
                (*walker).count = count;
                visit(tp, filter.as_raw(), walker) >= 0
            });
            if !wants_more {
                stopped = Some(filters.dump_cookie(&filter));
                break;
            }
            at = filters.next(Some(&filter));
            count += 1;
        }
        // SAFETY: The walker is valid for the time of the call.
        unsafe {
            (*walker).count = count;
            (*walker).cookie = stopped.unwrap_or(0);
            if stopped.is_some() {
                (*walker).stop = 1;
            }
        }
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
        // SAFETY: By the safety requirements of this function. The extack is valid for the time of
        // the call.
        let (device, mut extack) = unsafe {
            (
                OffloadDevice::new(Self::proto(tp), callback, private),
                ExtAck::from_raw(extack),
            )
        };
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
        unsafe {
            if let Some((_, filter)) = FilterRef::<T>::borrow(filter) {
                let rtnl = Rtnl::assume_held();
                filter.class().rebind(&rtnl, classid, class, qdisc, base);
            }
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
        unsafe {
            let (caller, tp) = (RtnlState::new(rtnl_held), Self::proto(tp));
            Self::write(filter, skb, header, |filter, message| {
                T::dump(&caller, &tp, filter, message)
            })
        }
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
        f: impl FnOnce(&super::Filter<T>, &mut Message<'_>) -> Result,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        if let Some((handle, filter)) = unsafe { FilterRef::<T>::borrow(filter) } {
            // SAFETY: The message and its header are valid for the time of the call.
            let mut message = unsafe {
                (*header).tcm_handle = handle;
                Message::from_raw(skb)
            };
            if f(filter, &mut message).is_err() {
                return -1;
            }
        }
        // SAFETY: The message is valid.
        unsafe { (*skb).len as c_int }
    }
}
