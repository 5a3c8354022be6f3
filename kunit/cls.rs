// SPDX-License-Identifier: GPL-2.0-only

//! The classifier: handles, filter order, verdicts, requests, offload and dumps.

use super::*;

#[kunit_tests(lwtcls_cls)]
mod tests {
    use super::{
        filter::Mode,
        stats::FilterStats,
        *, //
    };
    use crate::abstractions::{
        bpf::ProgOrigin,
        net::{
            netlink::MessageBuf,
            pkt_cls::{
                flags,
                Action,
                FilterInit, //
                Handle,
                NewFilter,
            },
        },
        sync::{
            bottom_half::BhDisabled,
            rtnl, //
        },
        testing::{
            self,
            ExtAckBuf,
            FakeDevice,
            ProgWatch,
            ProtoBuf,
            Request,
            ResultBuf, //
        },
        uapi::{
            TCA_BPF_ACT,
            TCA_BPF_CLASSID,
            TCA_BPF_FD,
            TCA_BPF_FLAGS,
            TCA_BPF_FLAGS_GEN,
            TCA_BPF_FLAG_ACT_DIRECT,
            TCA_BPF_ID,
            TCA_BPF_NAME,
            TCA_BPF_OPS,
            TCA_BPF_OPS_LEN,
            TCA_BPF_POLICE,
            TCA_BPF_TAG,
            TCA_OPTIONS,
            TCA_RATE, //
        },
    };

    const CLOSED_FD: u32 = 1 << 30;
    /// `TC_ACT_UNSPEC` (-1) as the return value of a program.
    const UNSPEC: u32 = u32::MAX;

    fn parts(
        watch: &ProgWatch,
        mode: Mode,
        classid: u32,
    ) -> Result<FilterInit<'static, BpfClassifier>> {
        Ok(FilterInit {
            rule: BpfRule {
                prog: watch.tc_prog(),
                direct_action: mode == Mode::DirectAction,
            },
            classid,
            exts: testing::no_actions(TCA_BPF_ACT, TCA_BPF_POLICE)?,
            skip: 0,
            data: Data {
                name: None,
                stats: FilterStats::new(),
            },
        })
    }

    fn direct(watch: &ProgWatch) -> Result<NewFilter<'static, BpfClassifier>> {
        testing::entry(parts(watch, Mode::DirectAction, 0)?)
    }

    /// A tcf_proto of the classifier, and its block.
    struct Instance {
        proto: ProtoBuf<BpfClassifier>,
    }

    impl Instance {
        fn new() -> Result<Self> {
            Ok(Self {
                proto: ProtoBuf::new()?,
            })
        }

        fn tp(&self) -> TcfProto<'_, BpfClassifier> {
            self.proto.proto()
        }

        fn add(&self, watch: &ProgWatch, handle: Handle) -> Result<u32> {
            self.insert(handle, direct(watch)?)
        }

        /// Inserts a filter the way a request does that needs no offload.
        fn insert(&self, handle: Handle, entry: NewFilter<'static, BpfClassifier>) -> Result<u32> {
            let caller = testing::caller();
            let writer = self.tp().writer(&caller, entry.class().is_some());
            let inserted = writer.insert(handle, entry);
            inserted
                .map(|filter| filter.handle())
                .map_err(|(error, _)| error.unwrap_or(EAGAIN))
        }

        fn publish(&self, handle: Handle, entry: NewFilter<'static, BpfClassifier>) -> Result<u32> {
            let caller = testing::caller();
            let writer = self.tp().writer(&caller, entry.class().is_some());
            let published = writer.reserve(handle)?.publish(entry);
            published.map(|filter| filter.handle()).map_err(|_| EAGAIN)
        }

        fn replace(&self, watch: &ProgWatch, old: &FilterRef<'_, BpfClassifier>) -> Result {
            let caller = testing::caller();
            let writer = self.tp().writer(&caller, false);
            writer
                .replace(old, direct(watch)?)
                .map(|_| ())
                .map_err(|_| EAGAIN)
        }

        fn get(&self, handle: u32) -> Result<FilterRef<'_, BpfClassifier>> {
            self.tp().filters().get(handle).ok_or(ENOENT)
        }

        fn delete(&self, handle: u32) -> Result {
            let caller = testing::caller();
            let filter = self.get(handle)?;
            let writer = self.tp().writer(&caller, filter.class().is_some());
            let mut extack = ExtAckBuf::new()?;
            BpfClassifier::delete(&writer, &filter, &mut extack.extack())
        }

        /// Returns whether the handle is free.
        fn is_free(&self, handle: u32) -> bool {
            let caller = testing::caller();
            let writer = self.tp().writer(&caller, false);
            let reservation = writer.reserve(Handle::Exact(handle));
            reservation.is_ok()
        }

        fn handles(&self) -> Result<KVec<u32>> {
            let mut all = KVec::new();
            let mut index = 0;
            while let Some(filter) = self.tp().filters().nth(index) {
                all.push(filter.handle(), GFP_KERNEL)?;
                index += 1;
            }
            Ok(all)
        }
    }

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
        let resume = |change: &dyn Fn() -> Result| {
            instance
                .proto
                .resume(instance.get(3)?, || assert!(change().is_ok()))
                .ok_or(ENOENT)
        };
        assert_eq!(resume(&|| Ok(()))?, 3);
        assert_eq!(resume(&|| instance.replace(&watch, &instance.get(3)?))?, 3);
        assert_eq!(resume(&|| instance.delete(4))?, 3);
        // The new filter with this handle is at the front.
        let again = || {
            instance.delete(3)?;
            instance.add(&watch, Handle::Exact(3)).map(|_| ())
        };
        assert_eq!(resume(&again)?, 2);
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
    fn ingress_shows_the_link_header() -> Result {
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

    /// Sends a request that must be refused. Returns the errno and the extack. With `old` there is
    /// already a filter with that handle.
    fn refused(tca: Request, old: bool) -> Result<(Error, ExtAckBuf)> {
        let (watch, instance) = (ProgWatch::returning(0)?, Instance::new()?);
        if old {
            instance.add(&watch, Handle::Exact(1))?;
        }
        let before = instance.handles()?;
        let mut extack = ExtAckBuf::new()?;
        let result = tca.with_tca(|tca| {
            let old = instance.get(1).ok();
            let change = Change::new(instance.tp(), testing::caller(), 1, tca, old);
            BpfClassifier::change(change, &mut extack.extack()).err()
        });
        // The state is unchanged.
        assert!(instance.handles()? == before);
        assert_eq!(watch.refs(), before.len() as i64);
        Ok((result.ok_or(EINVAL)?, extack))
    }

    fn options(inner: &Request) -> Result<Request> {
        Request::new().nest(TCA_OPTIONS, inner)
    }

    fn loaded(fd: u32) -> Result<Request> {
        Request::new()
            .put_u32(TCA_BPF_FD, fd)?
            .put_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT)
    }

    fn bytecode(count: u16, insns: &[u8]) -> Result<Request> {
        options(
            &Request::new()
                .put(TCA_BPF_OPS_LEN, &count.to_ne_bytes())?
                .put(TCA_BPF_OPS, insns)?,
        )
    }

    #[test]
    fn bytecode_is_accepted_and_dumped() -> Result {
        // ldb [0]; ret a
        let insns = [0x30, 0, 0, 0, 0, 0, 0, 0, 0x16, 0, 0, 0, 0, 0, 0, 0];
        let instance = Instance::new()?;
        let mut extack = ExtAckBuf::new()?;
        let handle = bytecode(2, &insns)?.with_tca(|tca| {
            let change = Change::new(instance.tp(), testing::caller(), 0, tca, None);
            BpfClassifier::change(change, &mut extack.extack()).map(|filter| filter.handle())
        })?;
        assert_eq!(handle, 1);
        assert!(extack.message().is_none());

        let mut buf = MessageBuf::new(512)?;
        dump::dump(&*instance.get(1)?, &mut buf.message())?;
        let want = options(
            &Request::new()
                .put(TCA_BPF_OPS_LEN, &2u16.to_ne_bytes())?
                .put(TCA_BPF_OPS, &insns)?
                .put_u32(TCA_BPF_FLAGS_GEN, flags::NOT_IN_HW)?,
        )?;
        assert!(buf.bytes() == want.bytes());
        Ok(())
    }

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

    #[test]
    fn bad_requests_say_why() -> Result {
        let ops = [0x06, 0, 0, 0, 0, 0, 0, 0];
        let long = KVec::from_elem(b'x', 300, GFP_KERNEL)?;
        let many = KVec::from_elem(0, 4097 * 8, GFP_KERNEL)?;
        let cases = [
            (
                Request::new(),
                EINVAL,
                c"TCA_OPTIONS is missing: a bpf filter needs bytecode or a program",
            ),
            (
                options(&Request::new())?,
                EINVAL,
                c"a bpf filter needs bytecode or a program",
            ),
            (
                // Without the instructions.
                options(&Request::new().put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?)?,
                EINVAL,
                c"bytecode needs both its instructions and their number",
            ),
            (
                options(&loaded(CLOSED_FD)?.put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?)?,
                EINVAL,
                c"a bpf filter has either bytecode or a program, not both",
            ),
            (
                options(&loaded(CLOSED_FD)?.put(TCA_BPF_OPS, &ops)?)?,
                EINVAL,
                c"a bpf filter has either bytecode or a program, not both",
            ),
            (
                options(
                    &Request::new()
                        .put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?
                        .put(TCA_BPF_OPS, &ops)?
                        .put(TCA_BPF_NAME, b"name\0")?,
                )?,
                EINVAL,
                c"bytecode cannot have a name",
            ),
            (
                options(
                    &Request::new()
                        .put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?
                        .put(TCA_BPF_OPS, &ops)?
                        .put_u32(TCA_BPF_ID, 0)?,
                )?,
                EINVAL,
                c"TCA_BPF_ID is not the id of the program",
            ),
            (
                options(
                    &Request::new()
                        .put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?
                        .put(TCA_BPF_OPS, &ops)?
                        .put(TCA_BPF_TAG, &[0; 8])?,
                )?,
                EINVAL,
                c"TCA_BPF_TAG is not the tag of the program",
            ),
            (
                options(
                    &loaded(CLOSED_FD)?
                        .put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?
                        .put(TCA_BPF_OPS, &ops)?,
                )?,
                EINVAL,
                c"a bpf filter has either bytecode or a program, not both",
            ),
            (
                bytecode(0, b"")?,
                EINVAL,
                c"the bytecode is empty: a bpf filter needs bytecode or a program",
            ),
            (
                bytecode(4097, &many)?,
                ERANGE,
                c"bytecode must have 1 to 4096 instructions",
            ),
            (
                bytecode(4097, &ops)?,
                EINVAL,
                c"bytecode must have 1 to 4096 instructions",
            ),
            (
                bytecode(2, &ops)?,
                EINVAL,
                c"the length of the bytecode does not match its number of instructions",
            ),
            (
                bytecode(1, &ops[..7])?,
                EINVAL,
                c"the length of the bytecode does not match its number of instructions",
            ),
            (
                // Does not end in a return.
                bytecode(1, &[0; 8])?,
                EINVAL,
                c"the bytecode is not valid",
            ),
            (
                options(
                    &Request::new()
                        .put(TCA_BPF_OPS_LEN, b"a")?
                        .put(TCA_BPF_OPS, &ops)?,
                )?,
                ERANGE,
                c"the attribute must be 2 bytes long",
            ),
            (
                options(&loaded(CLOSED_FD)?)?,
                EBADF,
                c"the program's file descriptor is not open",
            ),
            (
                options(&Request::new().put_u32(TCA_BPF_FD, CLOSED_FD)?)?,
                EBADF,
                c"the program's file descriptor is not open",
            ),
            (
                bytecode(1, &ops)?.put(TCA_RATE, b"")?,
                EINVAL,
                c"a rate estimator needs an action",
            ),
            (
                options(&Request::new().put_u32(TCA_BPF_FLAGS, 2)?)?,
                EINVAL,
                c"unknown flag of a bpf filter",
            ),
            (
                options(&loaded(CLOSED_FD)?.put_u32(TCA_BPF_FLAGS_GEN, 4)?)?,
                EINVAL,
                c"a bpf filter supports only the generic flags skip_hw and skip_sw",
            ),
            (
                options(&loaded(CLOSED_FD)?.put_u32(TCA_BPF_FLAGS_GEN, 3)?)?,
                EINVAL,
                c"skip_hw and skip_sw are mutually exclusive",
            ),
            (
                options(&loaded(CLOSED_FD)?.put_u32(TCA_BPF_FLAGS_GEN, 2)?)?,
                EBADF,
                c"the program's file descriptor is not open",
            ),
            (
                options(&loaded(CLOSED_FD)?.put(TCA_BPF_CLASSID, b"ab")?)?,
                ERANGE,
                c"the attribute must be 4 bytes long",
            ),
            (
                options(&loaded(CLOSED_FD)?.put(TCA_BPF_NAME, b"abc")?)?,
                EINVAL,
                c"the string is not NUL-terminated",
            ),
            (
                options(&loaded(CLOSED_FD)?.put(TCA_BPF_NAME, &long)?)?,
                EINVAL,
                c"the program's name is longer than 256 bytes",
            ),
        ];
        for (request, want, sentence) in cases {
            let (error, extack) = refused(request, false)?;
            assert!(error == want);
            assert!(extack.message() == Some(sentence));
        }
        let (error, extack) = refused(options(&loaded(CLOSED_FD)?)?, true)?;
        assert!(error == EBADF && extack.has_attr());
        let skip_hw = loaded(CLOSED_FD)?.put_u32(TCA_BPF_FLAGS_GEN, flags::SKIP_HW)?;
        let (error, extack) = refused(options(&skip_hw)?, true)?;
        assert!(error == EINVAL);
        let changed = c"skip_hw and skip_sw cannot be changed: delete the filter and add it again";
        assert!(extack.message() == Some(changed));
        Ok(())
    }

    #[test]
    fn dump_has_the_order_of_the_c() -> Result {
        let watch = ProgWatch::returning(0)?;
        let name = Request::new().put(1, b"o.o:[tc]\0")?;
        let mut extack = ExtAckBuf::new()?;
        let name = ProgName::parse(name.attr(), &mut extack.extack())?;
        let filter = testing::entry(FilterInit {
            data: Data {
                name: Some(name),
                stats: FilterStats::new(),
            },
            ..parts(&watch, Mode::DirectAction, 0x0001_0002)?
        })?;
        let ProgOrigin::Loaded { id, tag } = filter.rule().prog.origin() else {
            return Err(EINVAL);
        };
        let mut buf = MessageBuf::new(512)?;
        dump::dump(&filter, &mut buf.message())?;
        let want = options(
            &Request::new()
                .put_u32(TCA_BPF_CLASSID, 0x0001_0002)?
                .put(TCA_BPF_NAME, b"o.o:[tc]\0")?
                .put_u32(TCA_BPF_ID, id)?
                .put(TCA_BPF_TAG, tag)?
                .put_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT)?
                .put_u32(TCA_BPF_FLAGS_GEN, flags::NOT_IN_HW)?,
        )?;
        assert!(buf.bytes() == want.bytes());

        // A filter without class and name dumps neither attribute.
        let mut buf = MessageBuf::new(512)?;
        let plain = direct(&watch)?;
        dump::dump(&plain, &mut buf.message())?;
        assert!(buf.bytes()[4..8] == [8, 0, TCA_BPF_ID as u8, 0]);

        // A message that is too small is left unchanged.
        let mut buf = MessageBuf::new(20)?;
        assert!(dump::dump(&filter, &mut buf.message()) == Err(EMSGSIZE));
        assert!(buf.bytes().is_empty());
        Ok(())
    }
}
