// SPDX-License-Identifier: GPL-2.0-only

//! What the hooks do with packets.

use super::*;

#[kunit_tests(lwtcls_lwt)]
mod tests {
    use super::*;

    /// Runs all three hooks of a route whose programs return `code`. Returns for each packet the
    /// outcome, and whether the packet was freed.
    fn run_all(code: u32) -> Result<[(Outcome, bool); 3]> {
        let watch = ProgWatch::returning(code)?;
        let route = encap(
            Some(hook(&watch, c"in")?),
            Some(hook(&watch, c"out")?),
            Some(hook(&watch, c"xmit")?),
        );
        testing::with_dst(|dst| {
            let (a, a_watch) = testing::skb(60)?;
            let (b, b_watch) = testing::skb(60)?;
            let (c, c_watch) = testing::skb(60)?;
            for packet in [&a_watch, &b_watch, &c_watch] {
                packet.set_protocol(0, dst);
            }
            let (a, b, c) = (
                BhDisabled::with(|bh| route.input(bh, a, dst)),
                BhDisabled::with(|bh| route.output(bh, b, dst)),
                testing::xmit(c, |bh, skb| route.xmit(bh, skb, dst)),
            );
            let freed = [a_watch.freed(), b_watch.freed(), c_watch.freed()];
            Ok([
                (Outcome::of(a), freed[0]),
                (Outcome::of(b), freed[1]),
                (Outcome::of(c), freed[2]),
            ])
        })?
    }

    const GOES_ON: (Outcome, bool) = (Outcome::Continue, false);

    fn dropped(error: Error) -> (Outcome, bool) {
        (Outcome::Error(error.to_errno()), true)
    }

    #[test]
    fn ok_lets_the_packet_go_on() -> Result {
        assert!(run_all(0)? == [GOES_ON, GOES_ON, GOES_ON]);
        Ok(())
    }

    #[test]
    fn drop_frees_the_packet_once() -> Result {
        assert!(run_all(2)? == [dropped(EPERM), dropped(EPERM), dropped(EPERM)]);
        Ok(())
    }

    #[test]
    fn redirect_is_for_xmit_only() -> Result {
        let [input, output, xmit] = run_all(7)?;
        assert!(input == GOES_ON && output == GOES_ON);
        // The program did not set a target for the redirect.
        assert!(xmit == (Outcome::Consumed(0), true));
        Ok(())
    }

    #[test]
    fn reroute_means_nothing_on_output() -> Result {
        let [input, output, xmit] = run_all(128)?;
        assert!(output == GOES_ON);
        // The protocol of the packet is neither IPv4 nor IPv6.
        assert!(input == dropped(EAFNOSUPPORT) && xmit == dropped(EAFNOSUPPORT));
        Ok(())
    }

    // docs/differences.md: packet to be rerouted whose header does not lie in the linear data
    #[test]
    fn reroute_needs_a_header() -> Result {
        let watch = ProgWatch::returning(128)?;
        let route = encap(
            Some(hook(&watch, c"in")?),
            None,
            Some(hook(&watch, c"xmit")?),
        );
        testing::with_dst(|dst| {
            for (protocol, len) in [(ETH_P_IP, 20), (ETH_P_IPV6, 40)] {
                let (skb, packet) = testing::skb(len - 1)?;
                packet.set_protocol(protocol, dst);
                assert!(BhDisabled::with(|bh| route.input(bh, skb, dst)).err() == Some(EINVAL));
                assert!(packet.freed());
                let (skb, packet) = testing::skb(len - 1)?;
                packet.set_protocol(protocol, dst);
                assert!(
                    testing::xmit(skb, |bh, skb| route.xmit(bh, skb, dst)).err() == Some(EINVAL)
                );
                assert!(packet.freed());
            }
            Ok(())
        })?
    }

    #[test]
    fn illegal_values_free_the_packet_once() -> Result {
        for code in [1, 3, 6, 8, 127, 129, u32::MAX] {
            assert!(run_all(code)? == [dropped(EINVAL), dropped(EINVAL), dropped(EINVAL)]);
        }
        Ok(())
    }

    #[test]
    fn hook_without_program_lets_the_packet_go_on() -> Result {
        let route = encap(None, None, None);
        testing::with_dst(|dst| {
            let (skb, watch) = testing::skb(60)?;
            let verdict = testing::xmit(skb, |bh, skb| route.xmit(bh, skb, dst));
            assert!(!watch.freed());
            assert!(Outcome::of(verdict) == Outcome::Continue);
            Ok(())
        })?
    }

    #[test]
    fn xmit_makes_room_for_the_mac_header() -> Result {
        let watch = ProgWatch::returning(0)?;
        let route = encap(None, None, Some(hook(&watch, c"xmit")?));
        testing::with_dst(|dst| {
            let mut skb = testing::lone_skb(60)?;
            skb.take_headroom();
            assert_eq!(skb.headroom(), 0);
            match testing::xmit(skb, |bh, skb| route.xmit(bh, skb, dst))? {
                Verdict::Continue(skb) => assert!(skb.headroom() >= dst.dev().ll_reserved_space()),
                Verdict::Consumed(_) => return Err(EINVAL),
            }
            Ok(())
        })?
    }

    #[test]
    fn packet_that_is_gone_is_not_freed_again() -> Result {
        for code in [0, 1, ENOMEM.to_errno(), EINVAL.to_errno()] {
            assert_eq!(testing::received(code), code);
        }
        // For these codes the core would free the packet again, or continue with it.
        assert_eq!(testing::received(EOPNOTSUPP.to_errno()), EINVAL.to_errno());
        assert_eq!(testing::sent(0), 0);
        for code in [
            EOPNOTSUPP.to_errno(),
            ENOMEM.to_errno(),
            1,
            testing::XMIT_CONTINUE,
        ] {
            assert_eq!(testing::sent(code), ENOBUFS.to_errno());
        }
        // NET_XMIT_CN.
        assert_eq!(testing::sent(2), 0);
        Ok(())
    }

    #[test]
    fn programs_are_put_once() -> Result {
        let watch = ProgWatch::returning(0)?;
        let route = encap(
            Some(hook(&watch, c"in")?),
            Some(hook(&watch, c"out")?),
            None,
        );
        assert_eq!(watch.refs(), 2);
        drop(route);
        assert_eq!(watch.refs(), 0);
        Ok(())
    }
}
