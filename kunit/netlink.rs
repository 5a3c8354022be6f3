// SPDX-License-Identifier: GPL-2.0-only

//! Reading and writing netlink attributes.

use kernel::prelude::*;

#[kunit_tests(lwtcls_netlink)]
mod tests {
    use super::*;
    use crate::abstractions::{
        net::netlink::{
            total_size,
            MessageBuf, //
        },
        testing::{
            ExtAckBuf,
            Request, //
        }, //
    };
    use crate::name::ProgName;

    #[test]
    fn u32_has_four_bytes() -> Result {
        for (len, error) in [
            (0, Some(ERANGE)),
            (3, Some(ERANGE)),
            (4, None),
            (5, Some(EINVAL)),
            (8, Some(EINVAL)),
        ] {
            let request = Request::new().put(1, &[1; 8][..len])?;
            let mut extack = ExtAckBuf::new()?;
            let value = request.attr().u32(&mut extack.extack());
            if let Some(error) = error {
                assert!(value == Err(error));
                assert!(extack.message() == Some(c"the attribute must be 4 bytes long"));
                assert!(extack.has_attr());
            } else {
                assert!(value == Ok(0x0101_0101));
                assert!(extack.message().is_none());
            }
        }
        Ok(())
    }

    /// Reads a string attribute of at most 8 bytes.
    fn string<'a>(request: &'a Request, extack: &mut ExtAckBuf) -> Result<&'a CStr> {
        request.attr().str(8, c"too long", &mut extack.extack())
    }

    #[test]
    fn string_ends_at_its_nul() -> Result {
        // Zeros may follow the NUL, up to the size of the longest string and its NUL.
        for (payload, want) in [
            (&b"one\0"[..], c"one"),
            (b"\0", c""),
            (b"one\0\0", c"one"),
            (b"one\0\0\0\0\0\0", c"one"),
            (b"\0\0\0\0\0\0\0\0\0", c""),
            (b"12345678\0", c"12345678"),
        ] {
            let request = Request::new().put(1, payload)?;
            let mut extack = ExtAckBuf::new()?;
            assert!(string(&request, &mut extack)? == want);
            assert!(extack.message().is_none() && !extack.has_attr());
        }
        Ok(())
    }

    #[test]
    fn string_that_is_none_is_refused() -> Result {
        const NO_END: &CStr = c"the string is not NUL-terminated";
        const FOLLOWED: &CStr = c"the string is followed by other bytes than zeros";
        const LONGER: &CStr = c"the attribute is longer than its longest string";

        for (payload, error, want) in [
            (&b""[..], EINVAL, NO_END),
            (b"one", EINVAL, NO_END),
            (b"12345678", EINVAL, NO_END),
            (b"123456789", EINVAL, c"too long"),
            (b"123456789\0", EINVAL, c"too long"),
            (b"123456789abcdefgh\0\0\0", EINVAL, c"too long"),
            (b"one\0two\0", EINVAL, FOLLOWED),
            (b"one\0two", EINVAL, FOLLOWED),
            (b"one\0two!", EINVAL, FOLLOWED),
            (b"one\0\0\0\0\x01\0", EINVAL, FOLLOWED),
            (b"one\0two!!", ERANGE, LONGER),
            (b"one\0two!!\0", ERANGE, LONGER),
            (b"one\0\0\0\0\0\0\0", ERANGE, LONGER),
            (b"12345678\0\0", ERANGE, LONGER),
        ] {
            let request = Request::new().put(1, payload)?;
            let mut extack = ExtAckBuf::new()?;
            assert!(string(&request, &mut extack).err() == Some(error));
            assert!(extack.message() == Some(want) && extack.has_attr());
        }
        Ok(())
    }

    #[test]
    fn name_has_256_bytes_at_most() -> Result {
        for (len, zeros, error) in [
            (0, 1, None),
            (0, 257, None),
            (1, 1, None),
            (17, 239, None),
            (255, 1, None),
            (255, 2, None),
            (256, 1, None),
            (256, 2, Some(ERANGE)),
            (17, 241, Some(ERANGE)),
            (257, 1, Some(EINVAL)),
            (4000, 1, Some(EINVAL)),
            (256, 0, Some(EINVAL)),
        ] {
            let mut name = KVec::from_elem(b'x', len, GFP_KERNEL)?;
            name.resize(len + zeros, 0, GFP_KERNEL)?;
            let request = Request::new().put(1, &name)?;
            let mut extack = ExtAckBuf::new()?;
            let copy = ProgName::parse(request.attr(), &mut extack.extack());
            assert!(copy.as_ref().err() == error.as_ref());
            assert_eq!(extack.message().is_some(), error.is_some());
            if let Ok(copy) = copy {
                assert_eq!(copy.as_cstr().to_bytes_with_nul(), &name[..=len]);
            }
        }
        Ok(())
    }

    #[test]
    fn nest_is_parsed() -> Result {
        let inner = Request::new().put_u32(1, 11)?.put_u32(3, 33)?;
        let request = Request::new().nest(1, &inner)?;
        let mut extack = ExtAckBuf::new()?;
        let attrs = request.attr().nested::<4>(&mut extack.extack())?;
        let mut extack = extack.extack();
        assert!(attrs.get::<1>().ok_or(EINVAL)?.u32(&mut extack)? == 11);
        assert!(attrs.get::<2>().is_none());
        assert!(attrs.get::<3>().ok_or(EINVAL)?.u32(&mut extack)? == 33);
        Ok(())
    }

    #[test]
    fn doubles_are_refused() -> Result {
        // With any flags in the type, and with another attribute in between.
        for double in [1, 1 | 1 << 15, 1 | 1 << 14] {
            let inner = Request::new()
                .put_u32(1, 11)?
                .put(3, b"three")?
                .put_u32(double, 12)?;
            let request = Request::new().nest(1, &inner)?;
            let mut extack = ExtAckBuf::new()?;
            let attrs = request.attr().nested::<4>(&mut extack.extack());
            assert!(attrs.err() == Some(EINVAL));
            assert!(extack.message() == Some(c"duplicate attribute"));
        }
        Ok(())
    }

    #[test]
    fn doubles_are_found_among_all_types() -> Result {
        // Attributes without payload, up to the highest type that the parser accepts.
        for (first, second, double) in [(99, 99, true), (98, 99, false), (35, 99, false)] {
            let inner = Request::new().put(first, b"")?.put(second, b"")?;
            let request = Request::new().nest(1, &inner)?;
            let mut extack = ExtAckBuf::new()?;
            let attrs = request.attr().nested::<100>(&mut extack.extack());
            assert_eq!(attrs.is_err(), double);
        }
        Ok(())
    }

    #[test]
    fn flags_of_a_type_are_ignored() -> Result {
        let inner = Request::new().put_u32(1 | 1 << 15, 11)?;
        let request = Request::new().nest(1 | 1 << 15, &inner)?;
        let mut extack = ExtAckBuf::new()?;
        let attrs = request.attr().nested::<4>(&mut extack.extack())?;
        let number = attrs.get::<1>().ok_or(EINVAL)?;
        assert!(number.u32(&mut extack.extack())? == 11);
        Ok(())
    }

    #[test]
    fn empty_nest_is_parsed() -> Result {
        let request = Request::new().put(1, b"")?;
        let mut extack = ExtAckBuf::new()?;
        let attrs = request.attr().nested::<4>(&mut extack.extack())?;
        assert!(attrs.get::<1>().is_none() && attrs.get::<2>().is_none());
        Ok(())
    }

    #[test]
    fn unknown_type_in_a_nest_is_refused() -> Result {
        for kind in [0, 4, 100] {
            let inner = Request::new().put_u32(1, 11)?.put_u32(kind, 0)?;
            let request = Request::new().nest(1, &inner)?;
            let mut extack = ExtAckBuf::new()?;
            assert!(request.attr().nested::<4>(&mut extack.extack()).err() == Some(EINVAL));
            assert!(extack.message() == Some(c"Unknown attribute type"));
        }
        Ok(())
    }

    #[test]
    fn truncated_nest_is_refused() -> Result {
        let whole = Request::new().put_u32(1, 11)?;
        for tail in [
            &[0u8; 1][..],
            &[8, 0, 2],
            &[8, 0, 2, 0],
            &[200, 0, 2, 0, 1, 2, 3, 4],
        ] {
            let inner = Request::new().put_u32(1, 11)?.raw(tail)?;
            let request = Request::new().nest(1, &inner)?;
            let mut extack = ExtAckBuf::new()?;
            assert!(request.attr().nested::<4>(&mut extack.extack()).err() == Some(EINVAL));
            assert!(extack.message() == Some(c"bytes leftover after parsing attributes"));
        }
        let request = Request::new().nest(1, &whole)?;
        let mut extack = ExtAckBuf::new()?;
        assert!(request.attr().nested::<4>(&mut extack.extack()).is_ok());
        Ok(())
    }

    #[test]
    fn message_says_when_it_is_full() -> Result {
        let mut buf = MessageBuf::new(16)?;
        let mut message = buf.message();
        message.put_u32(1, 1)?;
        message.put_u32(2, 2)?;
        assert!(message.put_u32(3, 3) == Err(EMSGSIZE));
        assert_eq!(buf.bytes().len(), 16);
        Ok(())
    }

    #[test]
    fn failed_nest_leaves_nothing() -> Result {
        let mut buf = MessageBuf::new(64)?;
        let mut message = buf.message();
        message.put_u32(1, 1)?;
        let result = message.nest(2, |message| {
            message.put_u32(3, 3)?;
            Err(EMSGSIZE)
        });
        assert!(result == Err(EMSGSIZE));
        assert_eq!(buf.bytes().len(), 8);
        Ok(())
    }

    #[test]
    fn sizes_are_the_messages_own() -> Result {
        for len in [0, 1, 3, 4, 5, 256] {
            let payload = KVec::from_elem(7u8, len, GFP_KERNEL)?;
            let mut buf = MessageBuf::new(512)?;
            buf.message().put(1, &payload)?;
            assert_eq!(buf.bytes().len(), total_size(len));
        }
        Ok(())
    }
}
