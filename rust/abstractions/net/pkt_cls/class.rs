// SPDX-License-Identifier: GPL-2.0-only

//! Classes of a qdisc, and how filters are bound to them.
//!
//! C header: [`include/net/pkt_cls.h`](srctree/include/net/pkt_cls.h)

use super::{
    Classifier,
    TcfProto, //
};
use crate::abstractions::{
    bindings,
    sync::rtnl::Rtnl, //
};
use kernel::{
    prelude::*,
    ptr::project,
    types::Opaque, //
};

/// The class to which a filter assigns packets. C: `struct tcf_result` in a filter.
///
/// While its filter is published, it is bound to the class, if the qdisc has that class. A class to
/// which a filter is bound cannot be deleted.
pub(crate) struct BoundClass {
    classid: u32,
    result: Opaque<bindings::tcf_result>,
}

// SAFETY: `result` is only changed with RTNL held, of which the methods take a token. Packets read
// the class in a single access, and the core waits for them before it frees a class.
unsafe impl Send for BoundClass {}

// SAFETY: A shared reference only changes `result` with RTNL held, or reads it in a single access.
// The core waits for packets before it frees a class.
unsafe impl Sync for BoundClass {}

impl BoundClass {
    /// Creates a class that is not bound, from its ID (`major << 16 | minor`). 0 is no class.
    pub(super) fn new(classid: u32) -> Self {
        Self {
            classid,
            result: Opaque::new(bindings::tcf_result {
                __bindgen_anon_1: bindings::tcf_result__bindgen_ty_1 {
                    __bindgen_anon_1: bindings::tcf_result__bindgen_ty_1__bindgen_ty_1 {
                        class: 0,
                        classid,
                    },
                },
            }),
        }
    }

    /// Returns the class ID.
    #[inline(always)]
    pub(crate) fn classid(&self) -> u32 {
        self.classid
    }

    /// Returns whether there is a class.
    pub(crate) fn is_some(&self) -> bool {
        self.classid != 0
    }

    /// Binds the filter to the class with this ID, if the qdisc has it. `base` is the class that
    /// the filter is attached to. Does nothing if there is no class. C: `tcf_bind_filter()`.
    pub(super) fn bind<T: Classifier>(&self, _rtnl: &Rtnl, tp: TcfProto<'_, T>, base: c_ulong) {
        if self.is_some() {
            // SAFETY: The tcf_proto is valid by its lifetime, and RTNL is held.
            unsafe { bindings::tcf_bind_filter(tp.as_ptr(), self.result.get(), base) };
        }
    }

    /// Unbinds the filter from its class. Does nothing if it is not bound.
    /// C: `tcf_unbind_filter()`.
    pub(super) fn unbind<T: Classifier>(&self, _rtnl: &Rtnl, tp: TcfProto<'_, T>) {
        // SAFETY: The tcf_proto is valid by its lifetime, and RTNL is held.
        unsafe { bindings::tcf_unbind_filter(tp.as_ptr(), self.result.get()) };
    }

    /// Updates the binding after a class was added or deleted. C: `tc_cls_bind_class()`.
    ///
    /// # Safety
    ///
    /// The arguments are those of the core's `bind_class`, for a filter that has this class.
    pub(super) unsafe fn rebind(
        &self,
        _rtnl: &Rtnl,
        classid: u32,
        class: c_ulong,
        qdisc: *mut c_void,
        base: c_ulong,
    ) {
        // SAFETY: `result` is valid, and RTNL is held. The arguments are valid by the safety
        // requirements of this function.
        unsafe { bindings::tc_cls_bind_class(classid, class, qdisc, self.result.get(), base) };
    }
}

/// The class of a packet, as a classifier returns it. C: `struct tcf_result`.
#[repr(transparent)]
pub(crate) struct ClassResult(Opaque<bindings::tcf_result>);

impl ClassResult {
    /// Returns the raw pointer.
    #[inline(always)]
    pub(super) fn as_ptr(&mut self) -> *mut bindings::tcf_result {
        self.0.get()
    }

    /// Sets the class of a filter.
    #[inline(always)]
    pub(crate) fn set_class(&mut self, class: &BoundClass) {
        let bound = project!(class.result.get(), .__bindgen_anon_1.__bindgen_anon_1.class);
        // SAFETY: Valid by the reference. Requests write the class of the filter in a single
        // access.
        self.set(unsafe { bound.read_volatile() }, class.classid);
    }

    /// Sets a class ID, by which the qdisc looks up the class.
    #[inline(always)]
    pub(crate) fn set_classid(&mut self, classid: u32) {
        self.set(0, classid);
    }

    #[inline(always)]
    fn set(&mut self, class: c_ulong, classid: u32) {
        let result = project!(mut self.0.get(), .__bindgen_anon_1.__bindgen_anon_1);
        // SAFETY: Valid, and ours by `&mut`.
        unsafe { (*result).class = class };
        // SAFETY: Valid, and ours by `&mut`.
        unsafe { (*result).classid = classid };
    }
}
