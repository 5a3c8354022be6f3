// SPDX-License-Identifier: GPL-2.0-only

//! Shared names and lazily allocated values.

use kernel::prelude::*;

#[kunit_tests(lwtcls_sharing)]
mod tests {
    use super::*;
    use crate::abstractions::{
        str::SharedCStr,
        sync::once_box::OnceBox, //
    };
    use kernel::sync::Arc;

    fn shared(prog: u32, text: &CStr) -> Result<SharedCStr> {
        SharedCStr::init();
        SharedCStr::new(prog, text)
    }

    /// Returns whether both names share one string, instead of only being equal.
    fn same(a: &SharedCStr, b: &SharedCStr) -> bool {
        a.as_cstr().as_char_ptr() == b.as_cstr().as_char_ptr()
    }

    #[test]
    fn equal_names_of_a_program_are_one() -> Result {
        let names = (shared(1, c"a")?, shared(1, c"a")?, shared(2, c"a")?);
        assert!(same(&names.0, &names.1));
        assert!(!same(&names.0, &names.2));
        assert!(names.0 == names.1 && names.0 == names.2);
        Ok(())
    }

    #[test]
    fn names_end_with_the_last_who_has_them() -> Result {
        let first = shared(3, c"first")?;
        let again = shared(3, c"first")?;
        let other = shared(3, c"other")?;
        assert!(first != other && other.as_cstr() == c"other");
        // A second name of a program is not shared while the first one exists.
        assert!(!same(&other, &shared(3, c"other")?));
        drop(first);
        assert!(same(&again, &shared(3, c"first")?));
        drop(again);
        let kept = shared(3, c"other")?;
        assert!(!same(&other, &kept));
        assert!(same(&kept, &shared(3, c"other")?));
        drop(other);
        assert!(same(&kept, &shared(3, c"other")?));
        Ok(())
    }

    #[test]
    fn names_of_many_programs() -> Result {
        let mut names = KVec::new();
        for prog in 0..1000 {
            names.push(shared(prog, c"one")?, GFP_KERNEL)?;
        }
        for (prog, name) in (0..1000).zip(&names) {
            assert!(same(name, &shared(prog, c"one")?));
        }
        // Drop the names in another order than that of their creation.
        while names.len() > 2 {
            let last = names.len() - 1;
            names.swap(last, last / 2);
            names.pop();
        }
        assert!(same(&names[0], &shared(0, c"one")?));
        Ok(())
    }

    #[test]
    fn lazy_value_is_made_once_and_dropped() -> Result {
        let inside = Arc::new(7, GFP_KERNEL)?;
        let lazy = OnceBox::new();
        assert!(lazy.get().is_none());
        let first = lazy.get_or_init(GFP_KERNEL, || inside.clone());
        assert!(first.is_some_and(|value| Arc::ptr_eq(value, &inside)));
        let other = Arc::new(8, GFP_KERNEL)?;
        let second = lazy.get_or_init(GFP_KERNEL, || other);
        assert!(second.is_some_and(|value| Arc::ptr_eq(value, &inside)));
        drop(lazy);
        assert!(Arc::into_unique_or_drop(inside).is_some());
        drop(OnceBox::<u32>::new());
        Ok(())
    }
}
