// SPDX-License-Identifier: GPL-2.0-only

//! Pushed headers: which are accepted, and the state of a packet after a push.

use super::*;

#[kunit_tests(lwtcls_push)]
mod tests {
    use super::*;

    /// Pushes a header that must be refused, in each direction, and checks that the packet is
    /// unchanged.
    fn refused(header: &[u8], error: Error) -> Result {
        for direction in DIRECTIONS {
            with_packet(|skb, _| {
                let before = skb.headers();
                assert!(push(skb, header, direction) == Err(error));
                assert!(skb.headers() == before);
                assert_eq!(skb.len(), 80 - u32::from(MAC_LEN));
                assert_eq!(skb.bytes()[0], MAC_LEN as u8);
                Ok(())
            })?;
        }
        Ok(())
    }

    #[test]
    fn packet_becomes_the_inner_one() -> Result {
        for direction in DIRECTIONS {
            for (header, protocol) in [
                (v4(GRE, 0, &[0; 4])?, ETH_P_IP),
                (v6(GRE, &[0; 4])?, ETH_P_IPV6),
            ] {
                with_packet(|skb, _| {
                    let len = header.len() as i32;
                    push(skb, &header, direction)?;
                    let expected = Headers {
                        protocol_be: protocol,
                        network: 0,
                        // Only a UDP tunnel has an outer transport header.
                        transport: len + i32::from(INNER_LEN),
                        encapsulation: true,
                        inner_protocol_be: ETH_P_IP,
                        inner_mac: len,
                        inner_network: len,
                        inner_transport: len + i32::from(INNER_LEN),
                        hash: 0,
                        gso_types: GsoTypes::NONE,
                        gso_size: 0,
                        gso_segs: 0,
                    };
                    assert!(skb.headers() == expected);
                    let (outer, inner) = skb.bytes().split_at(header.len());
                    assert!(outer[12..] == header[12..]);
                    assert!(inner
                        .iter()
                        .enumerate()
                        .all(|(i, byte)| { usize::from(*byte) == i + usize::from(MAC_LEN) }));
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    #[test]
    fn udp_header_is_the_transport_header() -> Result {
        // 8 bytes of destination options and a 16-byte routing header before UDP.
        let mut behind = [0; 8 + 16 + UDP_LEN];
        (behind[0], behind[8], behind[9]) = (IPPROTO_ROUTING, IPPROTO_UDP, 1);
        for (header, at) in [
            (v4(IPPROTO_UDP, 0, &[0; UDP_LEN])?, 20),
            (v4(IPPROTO_UDP, 40, &[0; UDP_LEN])?, 60),
            (v6(IPPROTO_UDP, &[0; UDP_LEN])?, 40),
            (v6(IPPROTO_DSTOPTS, &behind)?, 64),
        ] {
            with_packet(|skb, _| {
                push(skb, &header, Direction::Ingress)?;
                assert_eq!(skb.headers().transport, at);
                Ok(())
            })?;
        }
        Ok(())
    }

    #[test]
    fn checksum_left_open_is_filled_in() -> Result {
        for options in [0, 4, 40] {
            with_packet(|skb, _| {
                let header = v4(GRE, options, &[0; 4])?;
                push(skb, &header, Direction::Egress)?;
                // The checksum over a header with a correct checksum is 0.
                assert!(ip_fast_csum(&skb.bytes()[..IPV4_LEN + options]) == Some(0));
                assert!(skb.bytes()[IPV4_CHECK] != [0, 0]);
                Ok(())
            })?;
        }
        Ok(())
    }

    #[test]
    fn checksum_that_is_there_stays() -> Result {
        with_packet(|skb, _| {
            let mut header = v4(GRE, 0, &[0; 4])?;
            header[IPV4_CHECK].copy_from_slice(&[0xde, 0xad]);
            push(skb, &header, Direction::Ingress)?;
            assert!(skb.bytes()[..header.len()] == header[..]);
            Ok(())
        })
    }

    #[test]
    fn received_sum_covers_what_was_pushed() -> Result {
        let given = |mut header: KVec<u8>| {
            header[IPV4_CHECK].fill(3);
            header
        };
        for header in [
            v4(GRE, 0, &[1; 4])?,
            v4(GRE, 8, &[1; 5])?,
            given(v4(GRE, 0, &[1; 4])?),
            v6(GRE, &[1; 4])?,
        ] {
            with_packet(|skb, _| {
                skb.set_checksum_complete();
                push(skb, &header, Direction::Ingress)?;
                assert!(skb.checksum_holds());
                Ok(())
            })?;
        }
        Ok(())
    }

    #[test]
    fn headers_that_are_none_are_refused() -> Result {
        let whole = v4(GRE, 40, &[0; 196])?;
        assert_eq!(whole.len(), 256);
        with_packet(|skb, _| push(skb, &whole, Direction::Ingress))?;
        refused(&v4(GRE, 40, &[0; 197])?, EINVAL)?;
        refused(&[], EINVAL)?;
        refused(&v4(GRE, 0, &[])?[..IPV4_LEN - 1], EINVAL)?;
        // The IHL exceeds the pushed bytes, or is less than 5.
        refused(&v4(GRE, 4, &[])?[..IPV4_LEN], EINVAL)?;
        for words in 0..5 {
            let mut header = v4(GRE, 0, &[0; 20])?;
            header[0] = 0x40 | words;
            refused(&header, EINVAL)?;
        }
        refused(&v6(GRE, &[])?[..IPV6_LEN - 1], EINVAL)?;
        for version in [0, 1, 5, 7, 15] {
            let mut header = v4(GRE, 0, &[0; 40])?;
            header[0] = version << 4 | 5;
            refused(&header, EINVAL)?;
        }
        Ok(())
    }

    #[test]
    fn udp_header_must_be_complete() -> Result {
        refused(&v4(IPPROTO_UDP, 0, &[0; UDP_LEN - 1])?, EINVAL)?;
        refused(&v4(IPPROTO_UDP, 8, &[0; UDP_LEN - 1])?, EINVAL)?;
        refused(&v6(IPPROTO_UDP, &[0; UDP_LEN - 1])?, EINVAL)?;
        // UDP is the next header of the destination options.
        refused(
            &v6(IPPROTO_DSTOPTS, &[IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 0])?,
            EINVAL,
        )?;
        // The pushed header ends before the options, which come from the packet.
        with_packet(|skb, _| push(skb, &v6(IPPROTO_DSTOPTS, &[])?, Direction::Ingress))?;
        with_packet(|skb, _| {
            push(
                skb,
                &v6(IPPROTO_DSTOPTS, &[IPPROTO_UDP])?,
                Direction::Ingress,
            )
        })
    }

    #[test]
    fn xmit_needs_a_route() -> Result {
        let header = v4(GRE, 0, &[0; 4])?;
        with_packet(|skb, _| {
            skb.set_dst(None);
            let before = skb.headers();
            assert!(push(skb, &header, Direction::Egress) == Err(EINVAL));
            assert!(skb.headers() == before);
            // Only xmit needs a route.
            push(skb, &header, Direction::Ingress)
        })
    }

    #[test]
    fn room_is_left_for_the_mac_header() -> Result {
        let header = v4(GRE, 0, &[0; 200])?;
        with_packet(|skb, dst| {
            push(skb, &header, Direction::Egress)?;
            assert!(skb.headroom() >= dst.dev().ll_reserved_space());
            Ok(())
        })?;
        with_packet(|skb, _| {
            push(skb, &header, Direction::Ingress)?;
            assert!(skb.headroom() >= MAC_LEN.into());
            Ok(())
        })
    }

    #[test]
    fn header_may_be_a_part_of_the_packet() -> Result {
        let header = v4(GRE, 0, &[9; 20])?;
        for direction in DIRECTIONS {
            // One header that fits into the headroom, and one that needs a reallocation.
            for room in [true, false] {
                with_packet(|skb, _| {
                    skb.write(&header);
                    if !room {
                        skb.take_headroom();
                        skb.write(&header);
                    }
                    let len = header.len();
                    assert_eq!(
                        testing::push_own_bytes::<BpfEncap>(skb, len as u32, direction),
                        0
                    );
                    let bytes = skb.bytes();
                    assert!(bytes[len..][..len] == header[..]);
                    // Equal except for the checksum, which was filled in.
                    assert!(bytes[..10] == header[..10] && bytes[12..len] == header[12..]);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Pushes `header`, if any, on a packet with IPv4 options and updates the control block, as
    /// before a reroute. Then runs `check`.
    fn with_options(header: Option<&[u8]>, check: impl FnOnce(&mut Skb)) -> Result {
        with_packet(|skb, dst| {
            skb.set_ip_options();
            if let Some(header) = header {
                push(skb, header, Direction::Ingress)?;
            }
            skb.update_ip_cb(dst.is_inet());
            check(skb);
            Ok(())
        })
    }

    // docs/differences.md: packet that gets a header of the other family
    #[test]
    fn options_are_those_of_the_header_that_is_there() -> Result {
        with_options(None, |skb| assert!(skb.seen_by_inet() == (3, 8, 20, true)))?;
        with_options(Some(&v4(GRE, 0, &[1; 4])?), |skb| {
            assert!(skb.seen_by_inet() == (3, 0, 0, true))
        })?;
        with_options(Some(&v6(GRE, &[1; 4])?), |skb| {
            assert!(skb.seen_by_inet6() == (3, IPV6_NEXTHDR as u16, 0, true))
        })
    }
}
