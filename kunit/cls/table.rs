// SPDX-License-Identifier: GPL-2.0-only

//! The table of filters: handles, order, deletion and dumps.

use super::*;

#[kunit_tests(lwtcls_cls)]
mod tests {
    use super::*;

    #[test]
    fn automatic_handles_are_the_lowest_free() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        for want in [1, 2, 3] {
            assert_eq!(instance.add(&watch, Handle::Auto)?, want);
        }
        instance.delete(2)?;
        assert_eq!(instance.add(&watch, Handle::Auto)?, 2);
        assert_eq!(instance.add(&watch, Handle::Auto)?, 4);
        Ok(())
    }

    #[test]
    fn explicit_handles_have_32_bits() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        for handle in [1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            assert_eq!(instance.add(&watch, Handle::Exact(handle))?, handle);
            assert_eq!(instance.get(handle)?.handle(), handle);
            assert!(instance.add(&watch, Handle::Exact(handle)) == Err(ENOSPC));
        }
        assert_eq!(watch.refs(), 4);
        assert!(instance.get(2).is_err());
        Ok(())
    }

    #[test]
    fn reservation_is_given_back() -> Result {
        let (instance, caller) = (Instance::new()?, testing::caller());
        let writer = instance.tp().writer(&caller, false);
        let reservation = writer.reserve(Handle::Auto)?;
        assert!(instance.get(1).is_err());
        // A reservation counts as a filter.
        assert!(!instance.tp().filters().is_empty());
        assert!(writer.reserve(Handle::Exact(1)).is_err());
        drop(reservation);
        assert!(instance.tp().filters().is_empty());
        assert!(writer.reserve(Handle::Exact(1)).is_ok());
        Ok(())
    }

    #[test]
    fn newest_filter_is_first() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        for handle in [5, 1, 9] {
            instance.add(&watch, Handle::Exact(handle))?;
        }
        assert_eq!(&instance.handles()?[..], [9, 1, 5]);
        assert!(!instance.tp().filters().is_empty());
        Ok(())
    }

    #[test]
    fn replacement_takes_the_place() -> Result {
        let (old, new) = (ProgWatch::returning(0)?, ProgWatch::returning(2)?);
        let instance = Instance::new()?;
        for handle in [1, 2, 3] {
            instance.add(&old, Handle::Exact(handle))?;
        }
        instance.replace(&new, &instance.get(2)?)?;
        assert_eq!(&instance.handles()?[..], [3, 2, 1]);
        assert_eq!(new.refs(), 1);
        testing::flush_deferred();
        assert_eq!(old.refs(), 2);
        Ok(())
    }

    #[test]
    fn replacement_of_what_is_gone_is_refused() -> Result {
        let (old, new) = (ProgWatch::returning(0)?, ProgWatch::returning(0)?);
        let instance = Instance::new()?;
        instance.add(&old, Handle::Exact(7))?;
        let stale = instance.get(7)?;
        instance.delete(7)?;
        assert!(instance.replace(&new, &stale) == Err(EAGAIN));
        // A new filter with the same handle is not replaced either.
        instance.add(&old, Handle::Exact(7))?;
        assert!(instance.replace(&new, &stale) == Err(EAGAIN));
        assert_eq!(new.refs(), 0);
        Ok(())
    }

    #[test]
    fn nothing_comes_into_an_instance_that_goes() -> Result {
        let (old, new) = (ProgWatch::returning(0)?, ProgWatch::returning(0)?);
        let mut instance = Instance::new()?;
        instance.add(&old, Handle::Exact(1))?;
        instance.proto.set_deleting();
        assert!(instance.add(&new, Handle::Exact(2)) == Err(EAGAIN));
        assert!(instance.replace(&new, &instance.get(1)?) == Err(EAGAIN));
        assert_eq!(&instance.handles()?[..], [1]);
        // Neither the program nor the handle is leaked.
        assert_eq!(new.refs(), 0);
        assert!(instance.is_free(2));
        Ok(())
    }

    #[test]
    fn deleted_filter_goes_after_its_last_user() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        instance.add(&watch, Handle::Exact(7))?;
        let user = instance.get(7)?;
        instance.delete(7)?;
        assert!(instance.delete(7) == Err(ENOENT));
        assert!(instance.get(7).is_err());
        assert!(instance.tp().filters().is_empty());
        testing::flush_deferred();
        assert_eq!(watch.refs(), 1);
        drop(user);
        testing::flush_deferred();
        assert_eq!(watch.refs(), 0);
        Ok(())
    }

    #[test]
    fn walk_survives_deletion_and_replacement() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        for handle in 1..=5 {
            instance.add(&watch, Handle::Exact(handle))?;
        }
        let mut at = 5;
        instance.tp().filters().for_each(|_| {
            // The current filter is deleted or replaced. A filter that is added meanwhile goes to
            // the front, even with the same handle, so the walk does not visit it.
            if at % 2 == 0 {
                instance.replace(&watch, &instance.get(at)?)?;
            } else {
                instance.delete(at)?;
                instance.add(&watch, Handle::Exact(at))?;
            }
            at -= 1;
            Ok(())
        })?;
        assert_eq!(at, 0);
        assert_eq!(&instance.handles()?[..], [1, 3, 5, 4, 2]);
        Ok(())
    }

    #[test]
    fn dump_goes_on_where_it_stopped() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        for handle in 1..=5 {
            instance.add(&watch, Handle::Exact(handle))?;
        }
        // The order is 5, 4, 3, 2, 1. The dump stops at 3.
        let resumes_at = |change: &dyn Fn() -> Result| {
            instance
                .proto
                .dump_resumes_at(instance.get(3)?, || assert!(change().is_ok()))
                .ok_or(ENOENT)
        };
        assert_eq!(resumes_at(&|| Ok(()))?, 3);
        assert_eq!(
            resumes_at(&|| instance.replace(&watch, &instance.get(3)?))?,
            3
        );
        assert_eq!(resumes_at(&|| instance.delete(4))?, 3);
        // The new filter with this handle is at the front.
        let again = || {
            instance.delete(3)?;
            instance.add(&watch, Handle::Exact(3)).map(|_| ())
        };
        assert_eq!(resumes_at(&again)?, 2);
        assert_eq!(&instance.handles()?[..], [3, 5, 2, 1]);
        Ok(())
    }

    #[test]
    fn filter_of_another_instance_is_left_alone() -> Result {
        let watch = ProgWatch::returning(0)?;
        let (one, other) = (Instance::new()?, Instance::new()?);
        other.add(&watch, Handle::Exact(1))?;
        assert!(one.replace(&watch, &other.get(1)?) == Err(EAGAIN));
        let caller = testing::caller();
        assert!(!one.tp().writer(&caller, false).remove(&other.get(1)?));
        assert_eq!(&other.handles()?[..], [1]);
        assert_eq!(watch.refs(), 1);
        Ok(())
    }

    #[test]
    fn class_is_not_changed_without_rtnl() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        let entry = || testing::entry(parts(&watch, Mode::Classify, 0x0001_0010)?);
        {
            let caller = testing::caller();
            let writer = instance.tp().writer(&caller, false);
            assert!(writer.rtnl().is_none());
            assert!(writer.reserve(Handle::Exact(1))?.publish(entry()?).is_err());
            assert!(matches!(
                writer.insert(Handle::Exact(1), entry()?),
                Err((None, _))
            ));
        }
        assert!(instance.is_free(1));
        instance.publish(Handle::Exact(1), entry()?)?;
        let filter = instance.get(1)?;
        assert!(instance.replace(&watch, &filter) == Err(EAGAIN));
        let caller = testing::caller();
        assert!(!instance.tp().writer(&caller, false).remove(&filter));
        drop(filter);
        instance.delete(1)
    }

    #[test]
    fn reservation_does_not_keep_others_out() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        let (caller, mut extack) = (testing::caller(), ExtAckBuf::new()?);
        let writer = instance.tp().writer(&caller, false);
        let first = writer.reserve(Handle::Exact(1))?;
        // The second request adds and deletes its filter while the first holds a reservation.
        let second = writer.reserve(Handle::Exact(2))?.publish(direct(&watch)?);
        let second = second.map_err(|_| EAGAIN)?;
        BpfClassifier::delete(&writer, &second, &mut extack.extack())?;
        assert!(first.publish(direct(&watch)?).is_ok());
        assert_eq!(&instance.handles()?[..], [1]);
        Ok(())
    }

    #[test]
    fn writer_has_rtnl_if_it_needs_it() -> Result {
        let (instance, caller) = (Instance::new()?, testing::caller());
        assert!(instance.tp().writer(&caller, true).rtnl().is_some());
        assert!(instance.tp().writer(&caller, false).rtnl().is_none());
        Ok(())
    }

    #[test]
    fn instance_takes_its_filters_along() -> Result {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        for _ in 0..3 {
            instance.add(&watch, Handle::Auto)?;
        }
        assert_eq!(watch.refs(), 3);
        drop(instance);
        assert_eq!(watch.refs(), 0);
        Ok(())
    }
}
