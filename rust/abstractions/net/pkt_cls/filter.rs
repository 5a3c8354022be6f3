// SPDX-License-Identifier: GPL-2.0-only

//! One filter.

use super::{
    class::BoundClass,
    exts::Exts,
    offload::{
        OffloadState,
        Rule, //
    },
    table::Place,
    Classifier, //
};
use crate::abstractions::bindings;
use core::mem::ManuallyDrop;
use kernel::{
    pr_err_once,
    types::Opaque, //
};

/// What a new filter consists of.
pub(crate) struct Parts<'a, T: Classifier> {
    /// What it does.
    pub(crate) rule: T::Rule,
    /// The number of its class; 0 if none.
    pub(crate) classid: u32,
    /// Its actions.
    pub(crate) exts: Exts<'a>,
    /// None or one of [`SKIP_HW`](super::flags::SKIP_HW) and [`SKIP_SW`](super::flags::SKIP_SW).
    pub(crate) skip: u32,
    /// What the classifier keeps besides.
    pub(crate) data: T::Data,
}

/// A filter in its place in memory, from an [`Entry`](super::Entry) on. What the packet path reads
/// comes first.
///
/// It is dropped after a grace period, when no request uses it. That may be at any time but for the
/// module's life: RTNL need not be held, and the instance may be gone.
///
/// # Invariants
///
/// There is no other way to a value than by way of [`Entry`](super::Entry), which puts it on the
/// heap. Once a packet or a device may know it, it goes after a grace period, and if a device has the
/// rule then, that stays.
#[repr(C)]
pub(crate) struct Filter<T: Classifier> {
    pub(super) links: Opaque<bindings::list_head>,
    class: BoundClass,
    /// As in `offload`, which other CPUs write to.
    skip_sw: bool,
    rule: ManuallyDrop<T::Rule>,
    exts: Exts<'static>,
    offload: OffloadState,
    data: T::Data,
    pub(super) place: Place,
}

// SAFETY: The links belong to the table, whose lock sees to who changes them. The rest is `Send`.
unsafe impl<T: Classifier> Send for Filter<T> {}

impl<T: Classifier> Filter<T> {
    /// Makes a filter at `slot`, field by field: a value would be copied there through the stack.
    ///
    /// # Safety
    ///
    /// `slot` is valid for a write. The namespace of the actions outlives the filter, or is held by
    /// [`Exts::hold_net`] in time.
    #[inline(always)]
    pub(super) unsafe fn write(slot: *mut Self, parts: Parts<'_, T>) {
        let Parts {
            rule,
            classid,
            exts,
            skip,
            data,
        } = parts;
        // SAFETY: By the safety requirements of this function; the actions differ in nothing but the
        // lifetime. The links are written when the filter is put into a list.
        unsafe {
            (&raw mut (*slot).rule).write(ManuallyDrop::new(rule));
            (&raw mut (*slot).class).write(BoundClass::new(classid));
            (&raw mut (*slot).skip_sw).write(skip & bindings::TCA_CLS_FLAGS_SKIP_SW != 0);
            (&raw mut (*slot).exts).cast::<Exts<'_>>().write(exts);
            (&raw mut (*slot).offload).write(OffloadState::new(skip));
            (&raw mut (*slot).data).write(data);
            (&raw mut (*slot).place).write(Place::none());
        }
    }

    /// What it does.
    #[inline(always)]
    pub(crate) fn rule(&self) -> &T::Rule {
        &self.rule
    }

    /// Its class.
    #[inline(always)]
    pub(crate) fn class(&self) -> &BoundClass {
        &self.class
    }

    /// Whether it is not to be run here: a device does.
    #[inline(always)]
    pub(crate) fn skip_sw(&self) -> bool {
        self.skip_sw
    }

    /// Its actions.
    #[inline(always)]
    pub(crate) fn exts(&self) -> &Exts<'_> {
        &self.exts
    }

    /// What the classifier keeps besides.
    pub(crate) fn data(&self) -> &T::Data {
        &self.data
    }

    /// Where it is besides.
    pub(super) fn offload(&self) -> &OffloadState {
        &self.offload
    }
}

impl<T: Classifier> Drop for Filter<T> {
    fn drop(&mut self) {
        // SAFETY: Taken once, for this is the end of the value.
        let rule = unsafe { ManuallyDrop::take(&mut self.rule) };
        if self.in_hw() {
            pr_err_once!("a filter is still in a device, and its program is never freed\n");
            rule.leak();
        }
    }
}
