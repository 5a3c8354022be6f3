// SPDX-License-Identifier: GPL-2.0-only

//! Requests, and dumps of filters.

use super::*;

#[kunit_tests(lwtcls_cls_requests)]
mod tests {
    use super::*;

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
