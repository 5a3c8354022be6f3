// SPDX-License-Identifier: GPL-2.0-only

//! Filters of a classifier.

use super::{
    class::BoundClass,
    exts::Exts,
    offload::{
        OffloadState,
        Rule, //
    },
    table::TableLink,
    Classifier, //
};
use crate::abstractions::bindings;
use core::mem::ManuallyDrop;
use kernel::{
    pr_err_once,
    types::Opaque, //
};

/// The parts of a new filter.
pub(crate) struct FilterInit<'a, T: Classifier> {
    /// What the filter does.
    pub(crate) rule: T::Rule,
    /// The class ID, 0 if none.
    pub(crate) classid: u32,
    /// The actions.
    pub(crate) exts: Exts<'a>,
    /// Zero, or one of [`SKIP_HW`](super::flags::SKIP_HW) and [`SKIP_SW`](super::flags::SKIP_SW).
    pub(crate) skip: u32,
    /// The classifier's own data.
    pub(crate) data: T::Data,
}

/// A filter that is pinned in memory, created as a [`NewFilter`](super::NewFilter). The fields that
/// the packet path reads come first.
///
/// It is dropped after a grace period, when no request uses it. This may happen at any time while
/// the module is loaded: RTNL need not be held, and the tcf_proto may have been freed.
///
/// # Invariants
///
/// Values are only created through [`NewFilter`](super::NewFilter), which allocates them on the
/// heap. Once published or offered to a device, a filter is freed only after a grace period. A
/// rule that a device still has then is leaked.
#[repr(C)]
pub(crate) struct Filter<T: Classifier> {
    pub(super) links: Opaque<bindings::list_head>,
    class: BoundClass,
    /// A copy of the flag in `offload`, which other CPUs write to.
    skip_sw: bool,
    rule: ManuallyDrop<T::Rule>,
    exts: Exts<'static>,
    offload: OffloadState,
    data: T::Data,
    pub(super) link: TableLink,
}

// SAFETY: The links belong to the table, whose lock protects them. The other fields are `Send`.
unsafe impl<T: Classifier> Send for Filter<T> {}

impl<T: Classifier> Filter<T> {
    /// Initialises a filter at `slot`, field by field, because a value would be copied there
    /// through the stack.
    ///
    /// # Safety
    ///
    /// `slot` is valid for writes. The namespace of the actions outlives the filter, or
    /// [`Exts::get_net`] takes a reference to it in time.
    #[inline(always)]
    pub(super) unsafe fn write(slot: *mut Self, parts: FilterInit<'_, T>) {
        let FilterInit {
            rule,
            classid,
            exts,
            skip,
            data,
        } = parts;
        #[expect(
            clippy::multiple_unsafe_ops_per_block,
            reason = "the fields of one allocation"
        )]
        // SAFETY: By the safety requirements of this function. The types of the actions differ in
        // the lifetime only. The links are written when the filter is added to a list.
        unsafe {
            (&raw mut (*slot).rule).write(ManuallyDrop::new(rule));
            (&raw mut (*slot).class).write(BoundClass::new(classid));
            (&raw mut (*slot).skip_sw).write(skip & bindings::TCA_CLS_FLAGS_SKIP_SW != 0);
            (&raw mut (*slot).exts).cast::<Exts<'_>>().write(exts);
            (&raw mut (*slot).offload).write(OffloadState::new(skip));
            (&raw mut (*slot).data).write(data);
            (&raw mut (*slot).link).write(TableLink::new());
        }
    }

    /// Returns what the filter does.
    #[inline(always)]
    pub(crate) fn rule(&self) -> &T::Rule {
        &self.rule
    }

    /// Returns the class.
    #[inline(always)]
    pub(crate) fn class(&self) -> &BoundClass {
        &self.class
    }

    /// Returns whether the filter is not run in software, but only by devices.
    #[inline(always)]
    pub(crate) fn skip_sw(&self) -> bool {
        self.skip_sw
    }

    /// Returns the actions.
    #[inline(always)]
    pub(crate) fn exts(&self) -> &Exts<'_> {
        &self.exts
    }

    /// Returns the classifier's own data.
    pub(crate) fn data(&self) -> &T::Data {
        &self.data
    }

    /// Returns the offload state.
    pub(super) fn offload(&self) -> &OffloadState {
        &self.offload
    }
}

impl<T: Classifier> Drop for Filter<T> {
    fn drop(&mut self) {
        // SAFETY: Taken once, because the filter is not used after its drop.
        let rule = unsafe { ManuallyDrop::take(&mut self.rule) };
        if self.in_hw() {
            pr_err_once!("a filter is still in a device, and its program is never freed\n");
            rule.leak();
        }
    }
}
