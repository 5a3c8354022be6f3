// SPDX-License-Identifier: GPL-2.0-only

//! The packet path: verdicts, classes, and what a program sees.

use super::*;

#[kunit_tests(lwtcls_cls_classify)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_those_of_direct_action() -> Result {
        for (code, action) in [
            (0, Action::OK),
            (2, Action::SHOT),
            (4, Action::STOLEN),
            (7, Action::REDIRECT),
            (8, Action::TRAP),
        ] {
            assert!(Action::from_code(code) == Some(action));
        }
        // Not verdicts of direct action: reclassify, pipe, queued, repeat, consumed, goto, jump.
        for code in [
            -1,
            1,
            3,
            5,
            6,
            9,
            77,
            0x1000_0001,
            0x2000_0001,
            -2,
            i32::MIN,
            i32::MAX,
        ] {
            assert!(Action::from_code(code).is_none());
        }
        Ok(())
    }

    /// Classifies a packet with direct-action filters, added in the order of `programs`.
    fn classify(
        programs: &[(&ProgWatch, u32)],
        at_ingress: bool,
        prepare: impl FnOnce(&testing::SkbWatch),
    ) -> Result<(Action, u32, testing::SkbWatch)> {
        let mut filters = KVec::new();
        for (watch, classid) in programs {
            filters.push(parts(watch, Mode::DirectAction, *classid)?, GFP_KERNEL)?;
        }
        classify_by(filters, at_ingress, prepare)
    }

    /// Classifies a packet with `filters`, added in their order.
    fn classify_by(
        filters: KVec<FilterInit<'static, BpfClassifier>>,
        at_ingress: bool,
        prepare: impl FnOnce(&testing::SkbWatch),
    ) -> Result<(Action, u32, testing::SkbWatch)> {
        let instance = Instance::new()?;
        for filter in filters {
            instance.publish(Handle::Auto, testing::entry(filter)?)?;
        }
        let (skb, mut packet) = testing::skb(60)?;
        drop(skb);
        packet.enter_tc(14, at_ingress);
        prepare(&packet);
        let mut result = ResultBuf::new();
        // As in a classful qdisc: no BPF network context is set.
        let action = BhDisabled::with(|bh| {
            let verdict = instance.tp().classify(packet.tc(), result.result(), bh);
            verdict.action()
        });
        Ok((action, result.classid(), packet))
    }

    #[test]
    fn verdict_ends_the_search() -> Result {
        let (ok, shot) = (ProgWatch::returning(0)?, ProgWatch::returning(2)?);
        // The newest filter runs first.
        assert!(classify(&[(&ok, 0), (&shot, 0)], false, |_| ())?.0 == Action::SHOT);
        assert!(classify(&[(&shot, 0), (&ok, 0)], false, |_| ())?.0 == Action::OK);
        Ok(())
    }

    #[test]
    fn unspec_asks_the_next() -> Result {
        let (unspec, pipe) = (ProgWatch::returning(UNSPEC)?, ProgWatch::returning(3)?);
        let shot = ProgWatch::returning(2)?;
        let found = classify(&[(&shot, 0), (&pipe, 0), (&unspec, 0)], false, |_| ())?;
        assert!(found.0 == Action::SHOT);
        assert!(classify(&[(&unspec, 0), (&pipe, 0)], false, |_| ())?.0 == Action::UNSPEC);
        assert!(classify(&[], false, |_| ())?.0 == Action::UNSPEC);
        Ok(())
    }

    #[test]
    fn class_is_the_filters() -> Result {
        let ok = ProgWatch::returning(0)?;
        // The minor number is passed in `tc_classid` of the packet, where a program can change it.
        let (_, classid, _) = classify(&[(&ok, 0x0001_0010)], false, |_| ())?;
        assert_eq!(classid, 0x0001_0010);
        let (_, classid, _) = classify(&[(&ok, 0)], false, |_| ())?;
        assert_eq!(classid, 0);
        Ok(())
    }

    /// Classifies a packet with filters without direct action, one for each return value, in order.
    fn class_of(values: &[u32], classid: u32) -> Result<(Action, u32)> {
        let mut watches = KVec::new();
        let mut filters = KVec::new();
        for value in values {
            watches.push(ProgWatch::returning(*value)?, GFP_KERNEL)?;
        }
        for watch in &watches {
            filters.push(parts(watch, Mode::Classify, classid)?, GFP_KERNEL)?;
        }
        let (action, classid, _) = classify_by(filters, false, |_| ())?;
        Ok((action, classid))
    }

    #[test]
    fn return_value_is_a_class() -> Result {
        const OWN: u32 = u32::MAX;
        assert!(class_of(&[OWN], 0x0001_0010)? == (Action::OK, 0x0001_0010));
        assert!(class_of(&[0x0001_0020], 0x0001_0010)? == (Action::OK, 0x0001_0020));
        // Without direct action, 2 is a class and not TC_ACT_SHOT.
        assert!(class_of(&[2], 0x0001_0010)? == (Action::OK, 2));
        // 0 means no match: the next filter runs.
        assert!(class_of(&[0x0001_0020, 0], 0)? == (Action::OK, 0x0001_0020));
        assert!(class_of(&[0], 0x0001_0010)?.0 == Action::UNSPEC);
        Ok(())
    }

    #[test]
    fn filter_for_devices_does_not_run() -> Result {
        let (shot, ok) = (ProgWatch::returning(2)?, ProgWatch::returning(0)?);
        for mode in [Mode::DirectAction, Mode::Classify] {
            let mut filters = KVec::new();
            filters.push(parts(&ok, Mode::DirectAction, 0)?, GFP_KERNEL)?;
            let skipped = FilterInit {
                skip: flags::SKIP_SW,
                ..parts(&shot, mode, 0)?
            };
            filters.push(skipped, GFP_KERNEL)?;
            assert!(classify_by(filters, false, |_| ())?.0 == Action::OK);
        }
        Ok(())
    }

    #[test]
    fn mac_header_visible_on_ingress() -> Result {
        let first = ProgWatch::first_byte()?;
        // Byte 0 is TC_ACT_OK. Without the MAC header the program would return byte 14, which is no
        // action.
        let (action, _, packet) = classify(&[(&first, 0)], true, |_| ())?;
        assert!(action == Action::OK);
        // The MAC header is pulled again.
        assert_eq!(packet.headroom(), testing::HEADROOM + 14);
        let (action, _, packet) = classify(&[(&first, 0)], false, |_| ())?;
        assert!(action == Action::OK);
        assert_eq!(packet.headroom(), testing::HEADROOM);
        Ok(())
    }

    #[test]
    fn next_program_sees_where_the_data_end() -> Result {
        let (unspec, mut packet) = (ProgWatch::returning(UNSPEC)?, testing::skb(60)?.1);
        packet.enter_tc(14, true);
        let prog = unspec.tc_prog();
        BhDisabled::with(|bh| {
            let run = packet.tc().begin();
            assert_eq!(run.direct_len(), 60);
            let (_, mut ran) = run.run(&prog, bh);
            // Like a kfunc that shortens the data without notice.
            ran.trim(40);
            let run = ran.next();
            assert_eq!(run.direct_len(), 40);
            run.end();
        });
        // The packet has its original headroom afterwards.
        assert_eq!(packet.headroom(), testing::HEADROOM + 14);
        Ok(())
    }

    #[test]
    fn packet_without_time_has_no_clock() -> Result {
        let ok = ProgWatch::returning(0)?;
        let (_, _, packet) = classify(&[(&ok, 0)], true, |packet| packet.set_tstamp_type(1))?;
        assert_eq!(packet.tstamp_type(), 0);
        Ok(())
    }
}
