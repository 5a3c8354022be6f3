// SPDX-License-Identifier: GPL-2.0-only

//! The classes of a qdisc, and filters that are bound to them.
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
    types::Opaque, //
};

/// The class that a filter sends packets to. C: `struct tcf_result` in a filter.
///
/// While its filter is published it is bound to the class, if the qdisc has it: a class that a
/// filter is bound to cannot be deleted.
pub(crate) struct BoundClass {
    classid: u32,
    result: Opaque<bindings::tcf_result>,
}

// SAFETY: `result` is only changed with RTNL held, of which the methods want a token. Packets read
// the class, in one piece; the core waits for them before a class goes.
unsafe impl Send for BoundClass {}

// SAFETY: Those who share it change it with RTNL held, or read it in one piece, see `Send`.
unsafe impl Sync for BoundClass {}

impl BoundClass {
    /// A class by number (`major << 16 | minor`), not bound. 0 is none.
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

    /// The number.
    #[inline(always)]
    pub(crate) fn classid(&self) -> u32 {
        self.classid
    }

    /// Whether there is a class to be bound to.
    pub(crate) fn is_some(&self) -> bool {
        self.classid != 0
    }

    /// Binds it to the class of that number, if the qdisc has one. `base` is the class whose
    /// filters are changed. Does nothing if it has no number. C: `tcf_bind_filter()`.
    pub(super) fn bind<T: Classifier>(&self, _rtnl: &Rtnl, tp: TcfProto<'_, T>, base: c_ulong) {
        if self.is_some() {
            // SAFETY: The instance is valid by its lifetime, and RTNL is held.
            unsafe { bindings::tcf_bind_filter(tp.as_ptr(), self.result.get(), base) };
        }
    }

    /// Unbinds it. Does nothing if it is not bound. C: `tcf_unbind_filter()`.
    pub(super) fn unbind<T: Classifier>(&self, _rtnl: &Rtnl, tp: TcfProto<'_, T>) {
        // SAFETY: The instance is valid by its lifetime, and RTNL is held.
        unsafe { bindings::tcf_unbind_filter(tp.as_ptr(), self.result.get()) };
    }

    /// Follows a class that came or goes. C: `tc_cls_bind_class()`.
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
        // SAFETY: The result is valid, and RTNL is held; the rest by the safety requirements of
        // this function.
        unsafe { bindings::tc_cls_bind_class(classid, class, qdisc, self.result.get(), base) };
    }
}

/// Where a classifier says which class a packet belongs to.
#[repr(transparent)]
pub(crate) struct ClassResult(Opaque<bindings::tcf_result>);

impl ClassResult {
    /// The C view.
    #[inline(always)]
    pub(super) fn as_ptr(&mut self) -> *mut bindings::tcf_result {
        self.0.get()
    }

    /// The class of a filter.
    #[inline(always)]
    pub(crate) fn set_class(&mut self, class: &BoundClass) {
        let result = self.0.get();
        // SAFETY: Valid and ours by `&mut`. Requests exchange the class in one piece.
        unsafe {
            let bound = &raw const (*class.result.get())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .class;
            (*result).__bindgen_anon_1.__bindgen_anon_1.class = bound.read_volatile();
            (*result).__bindgen_anon_1.__bindgen_anon_1.classid = class.classid;
        }
    }

    /// A class by its number, for the qdisc to look up.
    #[inline(always)]
    pub(crate) fn set_classid(&mut self, classid: u32) {
        let result = self.0.get();
        // SAFETY: Valid and ours by `&mut`.
        unsafe {
            (*result).__bindgen_anon_1.__bindgen_anon_1.class = 0;
            (*result).__bindgen_anon_1.__bindgen_anon_1.classid = classid;
        }
    }
}
