// SPDX-License-Identifier: GPL-2.0-only

//! Filters in devices.

use super::*;

#[kunit_tests(lwtcls_cls_offload)]
mod tests {
    use super::*;

    /// Requests a bytecode filter with handle 1. Replaces the filter with that handle, if any.
    fn offer(instance: &Instance, skip: u32, extack: &mut ExtAckBuf) -> Result<u32> {
        let ret = [0x06, 0, 0, 0, 0, 0, 0, 0];
        let request = options(
            &Request::new()
                .put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?
                .put(TCA_BPF_OPS, &ret)?
                .put_u32(TCA_BPF_FLAGS_GEN, skip)?,
        )?;
        request.with_tca(|tca| {
            let old = instance.get(1).ok();
            let change = Change::new(instance.tp(), testing::caller(), 1, tca, old);
            let filter = BpfClassifier::change(change, &mut extack.extack())?;
            Ok(filter.handle())
        })
    }

    #[test]
    fn device_is_told_of_a_filter() -> Result {
        let mut instance = Instance::new()?;
        let device = FakeDevice::plug(&mut instance.proto)?;
        let mut extack = ExtAckBuf::new()?;
        offer(&instance, 0, &mut extack)?;
        let old = instance.get(1)?;
        assert!(device.has(&old.rule().prog) && old.flags() == flags::IN_HW);
        offer(&instance, 0, &mut extack)?;
        let new = instance.get(1)?;
        assert!(device.has(&new.rule().prog) && new.flags() == flags::IN_HW);
        assert!(old.flags() == flags::NOT_IN_HW);
        instance.delete(1)?;
        assert!(device.is_empty() && !new.in_hw());
        // A skip_hw filter is not offered to the device.
        offer(&instance, flags::SKIP_HW, &mut extack)?;
        assert!(device.is_empty());
        drop((old, new));
        drop(instance);
        Ok(())
    }

    #[test]
    fn device_that_refuses_keeps_nothing() -> Result {
        let mut instance = Instance::new()?;
        let device = FakeDevice::plug(&mut instance.proto)?;
        let mut extack = ExtAckBuf::new()?;
        offer(&instance, 0, &mut extack)?;
        device.set(false, true);
        offer(&instance, 0, &mut extack)?;
        // Software runs the new filter, so the device must not keep the old one.
        assert!(device.is_empty() && !instance.get(1)?.in_hw());
        drop(instance);
        Ok(())
    }

    #[test]
    fn what_not_all_devices_take_is_rolled_back() -> Result {
        let mut instance = Instance::new()?;
        let last = FakeDevice::plug(&mut instance.proto)?;
        let first = FakeDevice::plug(&mut instance.proto)?;
        let mut extack = ExtAckBuf::new()?;
        last.set(false, true);
        assert!(offer(&instance, flags::SKIP_SW, &mut extack) == Err(EBUSY));
        assert!(first.is_empty() && last.is_empty());
        assert!(instance.tp().filters().is_empty());

        last.set(true, true);
        offer(&instance, flags::SKIP_SW, &mut extack)?;
        last.set(false, true);
        assert!(offer(&instance, flags::SKIP_SW, &mut extack) == Err(EBUSY));
        let old = instance.get(1)?;
        assert!(first.has(&old.rule().prog) && last.has(&old.rule().prog) && old.in_hw());
        drop(old);
        instance.delete(1)?;
        assert!(first.is_empty() && last.is_empty());
        drop(instance);
        Ok(())
    }

    #[test]
    fn lost_race_is_rolled_back() -> Result {
        let mut instance = Instance::new()?;
        let device = FakeDevice::plug(&mut instance.proto)?;
        let mut extack = ExtAckBuf::new()?;
        offer(&instance, 0, &mut extack)?;
        instance.proto.set_deleting();
        assert!(offer(&instance, 0, &mut extack) == Err(EAGAIN));
        let old = instance.get(1)?;
        assert!(device.has(&old.rule().prog) && old.in_hw());
        drop(old);
        instance.delete(1)?;
        drop(instance);
        Ok(())
    }

    // docs/differences.md: filter whose device does not give it up
    #[test]
    fn what_a_device_keeps_is_not_freed() -> Result {
        let (watch, mut instance) = (ProgWatch::returning(0)?, Instance::new()?);
        let device = FakeDevice::plug(&mut instance.proto)?;
        {
            let (entry, caller) = (direct(&watch)?, testing::caller());
            let writer = instance.tp().writer(&caller, false);
            let devices = writer.devices().ok_or(EINVAL)?;
            let mut extack = ExtAckBuf::new()?;
            offload::install(&devices, &entry, None, &mut extack.extack())?;
            drop(devices);
            let reservation = writer.reserve(Handle::Exact(1))?;
            assert!(reservation.publish(entry).is_ok());
        }
        device.set(true, false);
        instance.delete(1)?;
        assert!(instance.get(1).is_err());
        testing::flush_deferred();
        assert_eq!(watch.refs(), 1);
        drop(instance);
        // lwtcls leaks the program on purpose. Dropping the watch would destroy it.
        core::mem::forget(watch);
        Ok(())
    }
}
