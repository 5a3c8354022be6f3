// SPDX-License-Identifier: GPL-2.0-only

//! The callbacks by which the core reaches a [`Classifier`].

use super::{
    table::Deferred,
    Change,
    ClassChange,
    ClassResult,
    Classifier,
    Proto,
    TcSkb,
    Tca,
    Walker, //
};
use crate::abstractions::{
    bindings,
    bpf::RunContext,
    net::netlink::{
        ExtAck,
        Message, //
    },
    sync::{
        rcu::ReadSide,
        rtnl::Rtnl, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    types::Opaque,
    ModuleMetadata, //
};

/// What `tp->root` points to.
type Head<T> = Deferred<T>;

struct Adapter<T>(PhantomData<T>);

impl<T: Classifier> Adapter<T> {
    /// The root of an instance, for a request.
    ///
    /// # Safety
    ///
    /// `tp` is an instance of ours between `init` and `destroy`, and RTNL is held for `'a`.
    unsafe fn root<'a>(tp: *mut bindings::tcf_proto) -> (&'a T, &'a Proto, Rtnl) {
        // SAFETY: `init` put a head there, which `destroy` alone takes away, with RTNL held too.
        unsafe {
            let head = bindings::rtnl_dereference(&raw mut (*tp).root).cast::<Head<T>>();
            (&(*head).value, Proto::from_raw(tp), Rtnl::assume_held())
        }
    }

    /// # Safety
    ///
    /// Called by the core, with bottom halves off, for an instance of ours.
    unsafe extern "C" fn classify(
        skb: *mut bindings::sk_buff,
        tp: *const bindings::tcf_proto,
        result: *mut bindings::tcf_result,
    ) -> c_int {
        // SAFETY: `init` put a head there. It is freed after a grace period, and bottom halves
        // that are off are a read side.
        let root = unsafe {
            let root = &raw const (*tp).root;
            &(*bindings::rcu_dereference_bh(root.cast_mut()).cast::<Head<T>>()).value
        };
        // SAFETY: As above.
        let rcu = unsafe { ReadSide::assume() };
        // SAFETY: The core lends us both for the time of the call.
        let (skb, result) =
            unsafe { (TcSkb::from_raw_mut(skb), &mut *result.cast::<ClassResult>()) };
        // SAFETY: Bottom halves are off by the safety requirements of this function. The core sets
        // a network context where it follows redirections.
        let ctx = unsafe { RunContext::assume() };
        root.classify(skb, result, &rcu, &ctx).0
    }

    /// # Safety
    ///
    /// Called by the core for a new instance, which nobody else has seen.
    unsafe extern "C" fn init(tp: *mut bindings::tcf_proto) -> c_int {
        from_result(|| {
            let head = Head::new(T::init())?;
            // SAFETY: The head stays where it is; `destroy` takes it back.
            unsafe {
                let head = KBox::into_raw(Pin::into_inner_unchecked(head));
                bindings::rcu_assign_pointer(&raw mut (*tp).root, head.cast());
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held, once, for an instance of ours that no packet and no
    /// request finds any more.
    unsafe extern "C" fn destroy(
        tp: *mut bindings::tcf_proto,
        _rtnl_held: bool,
        _extack: *mut bindings::netlink_ext_ack,
    ) {
        // SAFETY: By the safety requirements of this function.
        let (root, proto, rtnl) = unsafe { Self::root(tp) };
        root.destroy(&rtnl, proto);
        // SAFETY: `init` put it there, out of a box. Packets that have seen it are waited for.
        unsafe {
            let head = bindings::rtnl_dereference(&raw mut (*tp).root).cast::<Head<T>>();
            Head::queue(head);
        }
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held for an instance of ours.
    unsafe extern "C" fn get(tp: *mut bindings::tcf_proto, handle: u32) -> *mut c_void {
        // SAFETY: By the safety requirements of this function.
        let (root, _, rtnl) = unsafe { Self::root(tp) };
        root.get(&rtnl, handle)
            .map_or(core::ptr::null_mut(), |filter| {
                core::ptr::from_ref(filter).cast_mut().cast()
            })
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held for an instance of ours. `tca` is a parsed request, `arg`
    /// holds what `get` returned, and takes the filter that there is afterwards.
    unsafe extern "C" fn change(
        _net: *mut bindings::net,
        _in_skb: *mut bindings::sk_buff,
        tp: *mut bindings::tcf_proto,
        base: c_ulong,
        handle: u32,
        tca: *mut *mut bindings::nlattr,
        arg: *mut *mut c_void,
        _flags: u32,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (root, tp, rtnl) = unsafe { Self::root(tp) };
        // SAFETY: The core's, for the time of the call.
        let mut extack = unsafe { ExtAck::from_raw(extack) };
        let change = Change {
            tp,
            handle,
            base,
            // SAFETY: The core parsed the request into a table of that size.
            tca: unsafe { Tca::from_raw(tca) },
            // SAFETY: Null, or a filter that `get` returned under the same RTNL.
            old: unsafe { (*arg).cast::<T::Filter>().as_ref() },
        };
        from_result(|| {
            let filter = root.change(&rtnl, &change, &mut extack)?;
            // SAFETY: The core's, for the time of the call.
            unsafe { *arg = core::ptr::from_ref(filter).cast_mut().cast() };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held for an instance of ours and a filter that `get` returned
    /// under the same RTNL.
    unsafe extern "C" fn delete(
        tp: *mut bindings::tcf_proto,
        filter: *mut c_void,
        last: *mut bool,
        _rtnl_held: bool,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (root, tp, rtnl) = unsafe { Self::root(tp) };
        // SAFETY: As above.
        root.delete(&rtnl, tp, unsafe { &*filter.cast::<T::Filter>() });
        // SAFETY: The core's, for the time of the call.
        unsafe { *last = root.is_empty(&rtnl) };
        0
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held for an instance of ours.
    unsafe extern "C" fn walk(
        tp: *mut bindings::tcf_proto,
        walker: *mut bindings::tcf_walker,
        _rtnl_held: bool,
    ) {
        // SAFETY: By the safety requirements of this function.
        let (root, _, rtnl) = unsafe { Self::root(tp) };
        root.walk(
            &rtnl,
            &mut Walker {
                tp,
                walker,
                _call: PhantomData,
            },
        );
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held, with a filter that `walk` showed it.
    unsafe extern "C" fn bind_class(
        filter: *mut c_void,
        classid: u32,
        class: c_ulong,
        qdisc: *mut c_void,
        base: c_ulong,
    ) {
        // SAFETY: By the safety requirements of this function.
        let (filter, rtnl) = unsafe { (&*filter.cast::<T::Filter>(), Rtnl::assume_held()) };
        T::bind_class(
            &rtnl,
            filter,
            &ClassChange {
                classid,
                class,
                qdisc,
                base,
                _call: PhantomData,
            },
        );
    }

    /// # Safety
    ///
    /// Called by the core with RTNL held, with null or a filter of ours, and a message in the
    /// making whose header is `header`.
    unsafe extern "C" fn dump(
        _net: *mut bindings::net,
        _tp: *mut bindings::tcf_proto,
        filter: *mut c_void,
        skb: *mut bindings::sk_buff,
        header: *mut bindings::tcmsg,
        _rtnl_held: bool,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        if let Some(filter) = unsafe { filter.cast::<T::Filter>().as_ref() } {
            // SAFETY: By the safety requirements of this function.
            let (rtnl, mut message) = unsafe {
                (*header).tcm_handle = T::handle(filter);
                (Rtnl::assume_held(), Message::from_raw(skb))
            };
            if T::dump(&rtnl, filter, &mut message).is_err() {
                return -1;
            }
        }
        // SAFETY: The message is valid.
        unsafe { (*skb).len as c_int }
    }
}

/// The table of `T` in the module `M`.
struct Ops<T, M>(PhantomData<(T, M)>);

impl<T: Classifier, M: ModuleMetadata> Ops<T, M> {
    const KIND: [c_char; 16] = {
        let name = T::KIND.to_bytes_with_nul();
        let mut kind = [0; 16];
        let mut i = 0;
        while i < name.len() {
            kind[i] = name[i];
            i += 1;
        }
        kind
    };

    fn ops() -> bindings::tcf_proto_ops {
        bindings::tcf_proto_ops {
            kind: Self::KIND,
            classify: Some(Adapter::<T>::classify),
            init: Some(Adapter::<T>::init),
            destroy: Some(Adapter::<T>::destroy),
            get: Some(Adapter::<T>::get),
            change: Some(Adapter::<T>::change),
            delete: Some(Adapter::<T>::delete),
            walk: Some(Adapter::<T>::walk),
            bind_class: Some(Adapter::<T>::bind_class),
            dump: Some(Adapter::<T>::dump),
            owner: M::THIS_MODULE.as_ptr().cast(),
            // SAFETY: What is absent is null, and the list links are the core's to set.
            ..unsafe { core::mem::zeroed() }
        }
    }
}

/// Keeps a classifier registered until it is dropped. The core holds the module while there is an
/// instance.
pub(crate) struct Registration<T: Classifier> {
    /// On the heap, for the core links the tables into a list.
    ops: KBox<Opaque<bindings::tcf_proto_ops>>,
    _classifier: PhantomData<fn() -> T>,
}

// SAFETY: The table belongs to the core while it is registered; we only keep it in place.
unsafe impl<T: Classifier> Send for Registration<T> {}

// SAFETY: As above.
unsafe impl<T: Classifier> Sync for Registration<T> {}

impl<T: Classifier> Registration<T> {
    /// Takes the kind `T::KIND` for the module `M`. `EEXIST` if another classifier has it.
    pub(crate) fn new<M: ModuleMetadata>() -> Result<Self> {
        let ops = KBox::new(Opaque::new(Ops::<T, M>::ops()), GFP_KERNEL)?;
        // SAFETY: The table is complete, and stays in place until it is unregistered by the drop.
        to_result(unsafe { bindings::register_tcf_proto_ops(ops.get()) })?;
        Ok(Self {
            ops,
            _classifier: PhantomData,
        })
    }
}

impl<T: Classifier> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`. Waits for all that `Deferred` has queued.
        unsafe { bindings::unregister_tcf_proto_ops(self.ops.get()) };
    }
}
