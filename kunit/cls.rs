// SPDX-License-Identifier: GPL-2.0-only

//! The classifier: handles, order, verdicts, and what it accepts.

use super::*;

#[kunit_tests(lwtcls_cls)]
mod tests {
    use super::{
        classify::action,
        *, //
    };
    use crate::abstractions::{
        net::pkt_cls::{
            flags,
            BoundClass,
            Entry,
            Handle, //
        },
        sync::rtnl,
        testing::{
            self,
            ExtAckBuf,
            MessageBuf,
            ProgWatch,
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
    /// Returned by a program, and meant as -1.
    const UNSPEC: u32 = u32::MAX;

    fn instance() -> Result<Pin<KBox<BpfClassifier>>> {
        KBox::try_pin_init(BpfClassifier::init(), GFP_KERNEL)
    }

    fn filter(watch: &ProgWatch, handle: u32, classid: u32) -> Filter {
        Filter {
            prog: watch.prog(),
            class: BoundClass::new(classid),
            handle,
            gen_flags: flags::NOT_IN_HW,
            name: None,
        }
    }

    fn add(cls: &BpfClassifier, rtnl: &Rtnl, watch: &ProgWatch, handle: Handle) -> Result<u32> {
        let reservation = cls.filters.reserve(rtnl, handle)?;
        let entry = Entry::new(filter(watch, reservation.id(), 0))?;
        Ok(reservation.publish(entry).handle)
    }

    fn handles(cls: &BpfClassifier, rtnl: &Rtnl) -> Result<KVec<u32>> {
        let mut all = KVec::new();
        for filter in cls.filters.iter_rtnl(rtnl) {
            all.push(filter.handle, GFP_KERNEL)?;
        }
        Ok(all)
    }

    #[test]
    fn actions_are_those_of_direct_action() -> Result {
        for code in [0, 2, 4, 7, 8, -1] {
            assert!(action(code) == Action(code));
        }
        // Reclassify, pipe, queued, repeat, goto and jump mean nothing for a program.
        for code in [
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
            assert!(action(code) == Action::UNSPEC);
        }
        Ok(())
    }

    #[test]
    fn automatic_handles_are_the_lowest_free() -> Result {
        let (watch, cls, rtnl) = (ProgWatch::returning(0)?, instance()?, rtnl::lock());
        for want in [1, 2, 3] {
            assert_eq!(add(&cls, &rtnl, &watch, Handle::Auto)?, want);
        }
        assert!(cls.filters.remove(&rtnl, 2));
        assert_eq!(add(&cls, &rtnl, &watch, Handle::Auto)?, 2);
        assert_eq!(add(&cls, &rtnl, &watch, Handle::Auto)?, 4);
        Ok(())
    }

    #[test]
    fn explicit_handles_have_32_bits() -> Result {
        let (watch, cls, rtnl) = (ProgWatch::returning(0)?, instance()?, rtnl::lock());
        for handle in [1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            assert_eq!(add(&cls, &rtnl, &watch, Handle::Exact(handle))?, handle);
            assert!(cls.get(&rtnl, handle).map(|filter| filter.handle) == Some(handle));
            assert!(add(&cls, &rtnl, &watch, Handle::Exact(handle)) == Err(ENOSPC));
        }
        assert!(cls.get(&rtnl, 2).is_none());
        Ok(())
    }

    #[test]
    fn reservation_is_given_back() -> Result {
        let (cls, rtnl) = (instance()?, rtnl::lock());
        let reservation = cls.filters.reserve(&rtnl, Handle::Auto)?;
        assert_eq!(reservation.id(), 1);
        assert!(cls.get(&rtnl, 1).is_none());
        assert!(cls.is_empty(&rtnl));
        drop(reservation);
        assert_eq!(cls.filters.reserve(&rtnl, Handle::Auto)?.id(), 1);
        Ok(())
    }

    #[test]
    fn newest_filter_is_first() -> Result {
        let (watch, cls, rtnl) = (ProgWatch::returning(0)?, instance()?, rtnl::lock());
        for handle in [5, 1, 9] {
            add(&cls, &rtnl, &watch, Handle::Exact(handle))?;
        }
        assert_eq!(&handles(&cls, &rtnl)?[..], [9, 1, 5]);
        assert!(!cls.is_empty(&rtnl));
        Ok(())
    }

    #[test]
    fn replacement_takes_the_place() -> Result {
        let (old, new) = (ProgWatch::returning(0)?, ProgWatch::returning(2)?);
        let (cls, rtnl) = (instance()?, rtnl::lock());
        for handle in [1, 2, 3] {
            add(&cls, &rtnl, &old, Handle::Exact(handle))?;
        }
        let entry = Entry::new(filter(&new, 2, 0))?;
        assert!(cls.filters.replace(&rtnl, 2, entry).is_some());
        assert_eq!(&handles(&cls, &rtnl)?[..], [3, 2, 1]);
        assert_eq!(new.refs(), 1);
        // Readers may still run the old one.
        assert_eq!(old.refs(), 3);
        drop(rtnl);
        testing::flush_deferred();
        assert_eq!(old.refs(), 2);
        Ok(())
    }

    #[test]
    fn replacement_of_nothing_is_refused() -> Result {
        let (watch, cls, rtnl) = (ProgWatch::returning(0)?, instance()?, rtnl::lock());
        let entry = Entry::new(filter(&watch, 7, 0))?;
        assert!(cls.filters.replace(&rtnl, 7, entry).is_none());
        assert_eq!(watch.refs(), 0);
        assert!(!cls.filters.remove(&rtnl, 7));
        Ok(())
    }

    #[test]
    fn removed_filter_goes_after_a_grace_period() -> Result {
        let (watch, cls, rtnl) = (ProgWatch::returning(0)?, instance()?, rtnl::lock());
        add(&cls, &rtnl, &watch, Handle::Exact(7))?;
        assert!(cls.filters.remove(&rtnl, 7));
        assert!(cls.get(&rtnl, 7).is_none());
        assert!(cls.is_empty(&rtnl));
        assert_eq!(watch.refs(), 1);
        drop(rtnl);
        testing::flush_deferred();
        assert_eq!(watch.refs(), 0);
        Ok(())
    }

    #[test]
    fn instance_takes_its_filters_along() -> Result {
        let (watch, cls) = (ProgWatch::returning(0)?, instance()?);
        for _ in 0..3 {
            add(&cls, &rtnl::lock(), &watch, Handle::Auto)?;
        }
        assert_eq!(watch.refs(), 3);
        drop(cls);
        assert_eq!(watch.refs(), 0);
        Ok(())
    }

    /// Classifies a packet by filters that were added in the order of `programs`.
    fn classify(
        programs: &[(&ProgWatch, u32)],
        at_ingress: bool,
        prepare: impl FnOnce(&testing::SkbWatch),
    ) -> Result<(Action, u32, testing::SkbWatch)> {
        let cls = instance()?;
        for (watch, classid) in programs {
            let rtnl = rtnl::lock();
            let reservation = cls.filters.reserve(&rtnl, Handle::Auto)?;
            let entry = Entry::new(filter(watch, reservation.id(), *classid))?;
            reservation.publish(entry);
        }
        let (skb, mut packet) = testing::skb(60)?;
        drop(skb);
        packet.enter_tc(14, at_ingress);
        prepare(&packet);
        let mut result = ResultBuf::new();
        let action = testing::with_rcu(|rcu| {
            RunContext::enter(|ctx| cls.classify(packet.tc(), result.result(), rcu, ctx))
        });
        Ok((action, result.classid(), packet))
    }

    #[test]
    fn verdict_ends_the_search() -> Result {
        let (ok, shot) = (ProgWatch::returning(0)?, ProgWatch::returning(2)?);
        // The newest is asked first.
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
        // The minor number passes through the packet, where a program can change it.
        let (_, classid, _) = classify(&[(&ok, 0x0001_0010)], false, |_| ())?;
        assert_eq!(classid, 0x0001_0010);
        let (_, classid, _) = classify(&[(&ok, 0)], false, |_| ())?;
        assert_eq!(classid, 0);
        Ok(())
    }

    #[test]
    fn ingress_shows_the_link_header() -> Result {
        let first = ProgWatch::first_byte()?;
        // Byte 0 is TC_ACT_OK; without the link header byte 14 would be seen, which is nothing.
        let (action, _, packet) = classify(&[(&first, 0)], true, |_| ())?;
        assert!(action == Action::OK);
        // The packet is as it was.
        assert_eq!(packet.headroom(), testing::HEADROOM + 14);
        let (action, _, packet) = classify(&[(&first, 0)], false, |_| ())?;
        assert!(action == Action::OK);
        assert_eq!(packet.headroom(), testing::HEADROOM);
        Ok(())
    }

    #[test]
    fn packet_without_time_has_no_clock() -> Result {
        let ok = ProgWatch::returning(0)?;
        let (_, _, packet) = classify(&[(&ok, 0)], true, |packet| packet.set_tstamp_type(1))?;
        assert_eq!(packet.tstamp_type(), 0);
        Ok(())
    }

    /// Sends a request that must be refused, and says how. `old` is a filter that is there.
    fn refused(tca: Request, old: bool) -> Result<(Error, ExtAckBuf)> {
        let (watch, cls) = (ProgWatch::returning(0)?, instance()?);
        let rtnl = rtnl::lock();
        if old {
            add(&cls, &rtnl, &watch, Handle::Exact(1))?;
        }
        let before = handles(&cls, &rtnl)?;
        let mut extack = ExtAckBuf::new()?;
        let result = testing::with_proto(|tp| {
            tca.with_tca(|tca| {
                let change = Change {
                    tp,
                    handle: 1,
                    base: 0,
                    tca,
                    old: cls.get(&rtnl, 1),
                };
                cls.change(&rtnl, &change, &mut extack.extack()).err()
            })
        })?;
        // The old state is intact.
        assert!(handles(&cls, &rtnl)? == before);
        assert_eq!(watch.refs(), before.len() as i64);
        Ok((result.ok_or(EINVAL)?, extack))
    }

    fn options(inner: &Request) -> Result<Request> {
        Request::new().nest(TCA_OPTIONS, inner)
    }

    fn direct(fd: u32) -> Result<Request> {
        Request::new()
            .put_u32(TCA_BPF_FD, fd)?
            .put_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT)
    }

    #[test]
    fn bad_requests_say_why() -> Result {
        let ops = [0x06, 0, 0, 0, 0, 0, 0, 0];
        let long = KVec::from_elem(b'x', 300, GFP_KERNEL)?;
        let cases = [
            (
                Request::new(),
                EINVAL,
                c"a bpf filter needs options: a program at least",
            ),
            (
                options(&Request::new())?,
                EINVAL,
                c"a bpf filter needs bytecode or a program",
            ),
            (
                // Half of what bytecode needs.
                options(&Request::new().put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?)?,
                EINVAL,
                c"a bpf filter needs bytecode or a program",
            ),
            (
                options(
                    &direct(CLOSED_FD)?
                        .put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?
                        .put(TCA_BPF_OPS, &ops)?,
                )?,
                EINVAL,
                c"a bpf filter has either bytecode or a program, not both",
            ),
            (
                options(
                    &Request::new()
                        .put(TCA_BPF_OPS_LEN, &1u16.to_ne_bytes())?
                        .put(TCA_BPF_OPS, &ops)?,
                )?,
                EOPNOTSUPP,
                c"classic BPF bytecode is not supported by bpf filters yet",
            ),
            (
                options(&direct(CLOSED_FD)?)?,
                EBADF,
                c"the program's file descriptor is not open",
            ),
            (
                options(&Request::new().put_u32(TCA_BPF_FD, CLOSED_FD)?)?,
                EOPNOTSUPP,
                c"bpf filters are supported in direct-action mode only yet: say 'da'",
            ),
            (
                options(&direct(CLOSED_FD)?.put(TCA_BPF_ACT, b"")?)?,
                EOPNOTSUPP,
                c"actions and policers are not supported by bpf filters yet",
            ),
            (
                options(&direct(CLOSED_FD)?.put(TCA_BPF_POLICE, b"")?)?,
                EOPNOTSUPP,
                c"actions and policers are not supported by bpf filters yet",
            ),
            (
                options(&direct(CLOSED_FD)?)?.put(TCA_RATE, b"")?,
                EOPNOTSUPP,
                c"an estimator belongs to actions, which bpf filters do not support yet",
            ),
            (
                options(&direct(CLOSED_FD)?.put_u32(TCA_BPF_ID, 1)?)?,
                EINVAL,
                c"the tag and the id of a program are reported, they cannot be set",
            ),
            (
                options(&direct(CLOSED_FD)?.put(TCA_BPF_TAG, b"12345678")?)?,
                EINVAL,
                c"the tag and the id of a program are reported, they cannot be set",
            ),
            (
                options(&Request::new().put_u32(TCA_BPF_FLAGS, 2)?)?,
                EINVAL,
                c"unknown flag of a bpf filter",
            ),
            (
                options(&direct(CLOSED_FD)?.put_u32(TCA_BPF_FLAGS_GEN, 4)?)?,
                EINVAL,
                c"a bpf filter takes no other generic flags than skip_hw and skip_sw",
            ),
            (
                options(&direct(CLOSED_FD)?.put_u32(TCA_BPF_FLAGS_GEN, 3)?)?,
                EINVAL,
                c"skip_hw and skip_sw exclude each other",
            ),
            (
                options(&direct(CLOSED_FD)?.put_u32(TCA_BPF_FLAGS_GEN, 2)?)?,
                EOPNOTSUPP,
                c"skip_sw needs hardware offload, which bpf filters do not support yet",
            ),
            (
                options(&direct(CLOSED_FD)?.put(TCA_BPF_CLASSID, b"ab")?)?,
                EINVAL,
                c"the attribute must have 4 bytes",
            ),
            (
                options(&direct(CLOSED_FD)?.put(TCA_BPF_NAME, b"abc")?)?,
                EINVAL,
                c"the string is not terminated by a NUL",
            ),
            (
                options(&direct(CLOSED_FD)?.put(TCA_BPF_NAME, &long)?)?,
                EINVAL,
                c"the string is not terminated by a NUL",
            ),
        ];
        for (request, want, sentence) in cases {
            let (error, extack) = refused(request, false)?;
            assert!(error == want);
            assert!(extack.message() == Some(sentence));
        }
        let (error, extack) = refused(options(&direct(CLOSED_FD)?)?, true)?;
        assert!(error == EBADF && extack.has_attr());
        Ok(())
    }

    #[test]
    fn dump_has_the_order_of_the_c() -> Result {
        let watch = ProgWatch::returning(0)?;
        let name = Request::new().put(1, b"o.o:[tc]\0")?;
        let mut extack = ExtAckBuf::new()?;
        let filter = Filter {
            name: Some(crate::name::ProgName::parse(
                name.attr(),
                GFP_KERNEL,
                &mut extack.extack(),
            )?),
            ..filter(&watch, 1, 0x0001_0002)
        };
        let mut buf = MessageBuf::new(512)?;
        dump::dump(&filter, &mut buf.message())?;
        let want = options(
            &Request::new()
                .put_u32(TCA_BPF_CLASSID, 0x0001_0002)?
                .put(TCA_BPF_NAME, b"o.o:[tc]\0")?
                .put_u32(TCA_BPF_ID, filter.prog.id())?
                .put(TCA_BPF_TAG, filter.prog.tag())?
                .put_u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT)?
                .put_u32(TCA_BPF_FLAGS_GEN, flags::NOT_IN_HW)?,
        )?;
        assert!(buf.bytes() == want.bytes());

        // A filter without class and name says nothing of them.
        let mut buf = MessageBuf::new(512)?;
        dump::dump(&super::tests::filter(&watch, 1, 0), &mut buf.message())?;
        assert!(buf.bytes()[4..8] == [8, 0, TCA_BPF_ID as u8, 0]);

        // A message that is too small is left as it was.
        let mut buf = MessageBuf::new(20)?;
        assert!(dump::dump(&filter, &mut buf.message()) == Err(EMSGSIZE));
        assert!(buf.bytes().is_empty());
        Ok(())
    }
}
