// SPDX-License-Identifier: GPL-2.0-only

//! Requests, dumps, and which routes are the same.

use super::*;

#[kunit_tests(lwtcls_lwt_attrs)]
mod tests {
    use super::*;

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
