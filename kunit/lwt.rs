// SPDX-License-Identifier: GPL-2.0-only

//! The encapsulation: configuration requests and the fate of packets.

use super::*;

#[kunit_tests(lwtcls_lwt)]
mod tests {
    use super::*;
    use crate::abstractions::{
        compat::{
            EAFNOSUPPORT,
            ENOBUFS,
            EOPNOTSUPP, //
        },
        net::{
            lwtunnel::Purpose,
            netlink::MessageBuf, //
        },
        testing::{
            self,
            ExtAckBuf,
            Outcome,
            ProgWatch,
            Request, //
        },
        uapi::{
            ETH_P_IP,
            ETH_P_IPV6,
            LWT_BPF_IN,
            LWT_BPF_OUT,
            LWT_BPF_PROG_FD,
            LWT_BPF_PROG_NAME,
            LWT_BPF_XMIT,
            LWT_BPF_XMIT_HEADROOM, //
        },
    };
    use crate::name::ProgName;

    /// A file descriptor that no process has open.
    const CLOSED_FD: u32 = 1 << 30;

    fn hook<P>(watch: &ProgWatch, text: &CStr) -> Result<HookProg<P>> {
        SharedCStr::init();
        let prog: Prog<P> = watch.prog();
        let name = SharedCStr::new(prog.id(), text)?;
        Ok(HookProg { prog, name })
    }

    fn encap(
        input: Option<HookProg<LwtIn>>,
        output: Option<HookProg<LwtOut>>,
        xmit: Option<HookProg<LwtXmit>>,
    ) -> BpfEncap {
        BpfEncap {
            input,
            output,
            xmit,
            state: OnceBox::new(),
        }
    }

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

    /// Builds an encapsulation that must be refused. Returns the errno, whether the extack names an
    /// attribute, and the extack.
    fn refused(inner: &Request, family: Family) -> Result<(Error, bool, ExtAckBuf)> {
        let request = Request::new().nest(1, inner)?;
        let mut extack = ExtAckBuf::new()?;
        let built = BpfEncap::build(request.attr(), family, &mut extack.extack())
            .and_then(|built| KBox::try_init(built.encap, GFP_KERNEL));
        match built {
            Ok(_) => Err(EINVAL),
            Err(error) => Ok((error, extack.has_attr(), extack)),
        }
    }

    fn prog(fd: u32, name: &CStr) -> Result<Request> {
        Request::new()
            .put_u32(LWT_BPF_PROG_FD, fd)?
            .put(LWT_BPF_PROG_NAME, name.to_bytes_with_nul())
    }

    #[test]
    fn other_families_are_refused() -> Result {
        // Unreachable from userspace: routes of other families cannot have an encapsulation.
        for family in [0, 1, 28] {
            let inner = Request::new().nest(LWT_BPF_XMIT, &prog(CLOSED_FD, c"a")?)?;
            let (error, _, extack) = refused(&inner, Family::new(family).ok_or(EINVAL)?)?;
            assert!(error == EAFNOSUPPORT);
            assert!(
                extack.message() == Some(c"bpf encapsulation is for IPv4 and IPv6 routes only")
            );
        }
        Ok(())
    }

    #[test]
    fn route_without_program_is_refused() -> Result {
        for inner in [
            Request::new(),
            Request::new().put_u32(LWT_BPF_XMIT_HEADROOM, 20)?,
        ] {
            for family in [Family::INET, Family::INET6] {
                let (error, has_attr, extack) = refused(&inner, family)?;
                assert!(error == EINVAL && has_attr);
                assert!(
                    extack.message() == Some(c"bpf encapsulation needs a program: in, out or xmit")
                );
            }
        }
        Ok(())
    }

    #[test]
    fn program_needs_descriptor_and_name() -> Result {
        for hook in [LWT_BPF_IN, LWT_BPF_OUT, LWT_BPF_XMIT] {
            let only_fd = Request::new().put_u32(LWT_BPF_PROG_FD, CLOSED_FD)?;
            let inner = Request::new().nest(hook, &only_fd)?;
            let (error, has_attr, extack) = refused(&inner, Family::INET)?;
            assert!(error == EINVAL && has_attr);
            assert!(extack.message() == Some(c"the name of the program is missing"));

            let only_name = Request::new().put(LWT_BPF_PROG_NAME, b"name\0")?;
            let inner = Request::new().nest(hook, &only_name)?;
            let (error, has_attr, extack) = refused(&inner, Family::INET)?;
            assert!(error == EINVAL && has_attr);
            assert!(extack.message() == Some(c"the file descriptor of a program is missing"));
        }
        Ok(())
    }

    #[test]
    fn closed_descriptor_is_refused() -> Result {
        let inner = Request::new().nest(LWT_BPF_IN, &prog(CLOSED_FD, c"a")?)?;
        let (error, has_attr, extack) = refused(&inner, Family::INET)?;
        assert!(error == EBADF && has_attr);
        assert!(extack.message() == Some(c"the program's file descriptor is not open"));
        Ok(())
    }

    #[test]
    fn headroom_is_256_bytes_at_most() -> Result {
        for (headroom, want) in [(0, EBADF), (256, EBADF), (257, ERANGE), (u32::MAX, ERANGE)] {
            // If the headroom is accepted, the program is refused next.
            let inner = Request::new()
                .put_u32(LWT_BPF_XMIT_HEADROOM, headroom)?
                .nest(LWT_BPF_XMIT, &prog(CLOSED_FD, c"a")?)?;
            let (error, has_attr, _) = refused(&inner, Family::INET)?;
            assert!(error == want && has_attr);
        }
        Ok(())
    }

    #[test]
    fn dump_fits_its_size() -> Result {
        let watch = ProgWatch::returning(0)?;
        let mut long = KVec::from_elem(b'x', ProgName::MAX, GFP_KERNEL)?;
        long.push(0, GFP_KERNEL)?;
        let long = CStr::from_bytes_with_nul(&long).map_err(|_| EINVAL)?;
        let route = encap(
            Some(hook(&watch, long)?),
            Some(hook(&watch, long)?),
            Some(hook(&watch, long)?),
        );

        let size = route.size();
        let mut buf = MessageBuf::new(size as u32)?;
        route.fill(256, &mut buf.message())?;
        assert_eq!(buf.bytes().len(), size);

        let mut buf = MessageBuf::new(size as u32 - 4)?;
        assert!(route.fill(256, &mut buf.message()) == Err(EMSGSIZE));
        Ok(())
    }

    #[test]
    fn dump_is_what_the_request_was() -> Result {
        let watch = ProgWatch::returning(0)?;
        let route = encap(
            None,
            Some(hook(&watch, c"o.o:[out]")?),
            Some(hook(&watch, c"x.o:[xmit]")?),
        );
        let mut buf = MessageBuf::new(512)?;
        route.fill(42, &mut buf.message())?;
        let want = Request::new()
            .nest(
                LWT_BPF_OUT,
                &Request::new().put(LWT_BPF_PROG_NAME, b"o.o:[out]\0")?,
            )?
            .nest(
                LWT_BPF_XMIT,
                &Request::new().put(LWT_BPF_PROG_NAME, b"x.o:[xmit]\0")?,
            )?
            .put(LWT_BPF_XMIT_HEADROOM, &42u32.to_ne_bytes())?;
        assert!(buf.bytes() == want.bytes());
        Ok(())
    }

    #[test]
    fn routes_are_the_same_by_names_and_programs() -> Result {
        let watch = ProgWatch::returning(0)?;
        let other = ProgWatch::returning(2)?;
        let one = |watch, input: Option<&CStr>, xmit: Option<&CStr>| -> Result<BpfEncap> {
            Ok(encap(
                input.map(|text| hook(watch, text)).transpose()?,
                None,
                xmit.map(|text| hook(watch, text)).transpose()?,
            ))
        };
        let route = one(&watch, Some(c"a"), None)?;
        for purpose in [Purpose::NewRoute, Purpose::DelRoute] {
            assert!(route.same(&one(&watch, Some(c"a"), None)?, purpose));
            assert!(!route.same(&one(&watch, Some(c"b"), None)?, purpose));
            assert!(!route.same(&one(&watch, None, Some(c"a"))?, purpose));
            assert!(!route.same(&one(&watch, Some(c"a"), Some(c"a"))?, purpose));
            assert!(!route.same(&one(&watch, None, None)?, purpose));
        }
        // Another program with an equal tag: classic programs have none.
        let equal = one(&other, Some(c"a"), None)?;
        assert!(!route.same(&equal, Purpose::NewRoute) && !equal.same(&route, Purpose::NewRoute));
        assert!(route.same(&equal, Purpose::DelRoute) && equal.same(&route, Purpose::DelRoute));
        Ok(())
    }
}
