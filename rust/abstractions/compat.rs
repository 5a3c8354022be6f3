// SPDX-License-Identifier: GPL-2.0-only

//! Items that the kernel crate of older kernels lacks, under their names in newer kernels.
//!
//! Kbuild sets `lwtcls_7_2` for Linux 7.2. Remove this file together with the support for 7.2: all
//! items but [`flag`] are then in the kernel crate under the same names.

/// Linux 7.3 has all items.
#[cfg(not(lwtcls_7_2))]
mod current {
    pub(crate) use kernel::{
        error::code::{
            EAFNOSUPPORT,
            ELOOP,
            ENOBUFS,
            EOPNOTSUPP,
            EPROTONOSUPPORT, //
        },
        module::this_module,
        prelude::module,
        sync::rcu::{
            rcu_barrier,
            synchronize_rcu, //
        }, //
    };

    /// Returns the value of a module parameter.
    pub(crate) fn flag(param: &kernel::module_param::ModuleParamAccess<bool>) -> bool {
        param.value()
    }
}

#[cfg(not(lwtcls_7_2))]
pub(crate) use current::*;

/// Replacements for the items that Linux 7.2 lacks.
#[cfg(lwtcls_7_2)]
mod v7_2 {
    use core::{
        mem::transmute,
        num::NonZeroI32, //
    };
    use kernel::{
        bindings,
        module_param::ModuleParamAccess,
        prelude::*,
        ModuleMetadata, //
    };

    /// Creates an [`Error`] in a constant.
    ///
    /// `kernel::error::code` of 7.2 lacks the codes below, and the kernel crate has no public
    /// constructor of an [`Error`] that constants could use.
    const fn error(errno: u32) -> Error {
        let Some(errno) = NonZeroI32::new(-(errno as i32)) else {
            panic!("0 is no error");
        };
        // SAFETY: The only field of an `Error` is a `NonZeroI32` with a negated errno, and
        // `transmute` checks that the sizes are equal. The callers below pass the kernel's own
        // errnos, which do not exceed `MAX_ERRNO`.
        unsafe { transmute::<NonZeroI32, Error>(errno) }
    }

    pub(crate) const EAFNOSUPPORT: Error = error(bindings::EAFNOSUPPORT);
    pub(crate) const ELOOP: Error = error(bindings::ELOOP);
    pub(crate) const ENOBUFS: Error = error(bindings::ENOBUFS);
    pub(crate) const EOPNOTSUPP: Error = error(bindings::EOPNOTSUPP);
    pub(crate) const EPROTONOSUPPORT: Error = error(bindings::EPROTONOSUPPORT);

    /// Returns the module `M`.
    ///
    /// In 7.2, `module!` defines a static in the crate root instead of a constant of
    /// [`ModuleMetadata`]. A crate has one module, so the static is that of `M`.
    pub(crate) const fn this_module<M: ModuleMetadata>() -> &'static ThisModule {
        &crate::THIS_MODULE
    }

    /// Waits for a grace period. 7.2 has no safe wrapper.
    pub(crate) fn synchronize_rcu() {
        // SAFETY: An FFI call with no requirements but process context.
        unsafe { bindings::synchronize_rcu() };
    }

    /// Waits for pending RCU callbacks. 7.2 has no safe wrapper.
    pub(crate) fn rcu_barrier() {
        // SAFETY: An FFI call with no requirements but process context.
        unsafe { bindings::rcu_barrier() };
    }

    /// `module!` with parameters of type `bool`, which 7.2 does not support. They become parameters
    /// of type `u8`, which accept 0 and 1 but not `y` and `n`.
    ///
    /// A larger type does not work: 7.2 stores a value as if it were the first field of its
    /// [`ModuleParamAccess`], which the compiler only ensures where the default is less aligned.
    macro_rules! module {
        (
            type: $type:ident,
            name: $name:tt,
            authors: $authors:tt,
            description: $description:tt,
            license: $license:tt,
            alias: $alias:tt,
            params: {
                $($param:ident: bool {
                    default: $default:tt,
                    description: $what:tt,
                },)*
            },
        ) => {
            ::kernel::prelude::module! {
                type: $type,
                name: $name,
                authors: $authors,
                description: $description,
                license: $license,
                alias: $alias,
                params: {
                    $($param: u8 {
                        default: $default as u8,
                        description: $what,
                    },)*
                },
            }
        };
    }
    pub(crate) use module;

    /// Returns the value of a module parameter, which is a number in 7.2.
    pub(crate) fn flag(param: &ModuleParamAccess<u8>) -> bool {
        *param.value() != 0
    }
}

#[cfg(lwtcls_7_2)]
pub(crate) use v7_2::*;
