// SPDX-License-Identifier: GPL-2.0-only

//! Headers pushed to GSO packets.

use super::*;

#[kunit_tests(lwtcls_push_gso)]
mod tests {
    use super::*;

    fn change(types: GsoTypes, size: u16, header: &[u8]) -> Result<(GsoTypes, Option<u16>)> {
        testing::with_mem(header, |header| {
            let gso = Gso { types, size };
            let change = gso::encapsulate(gso, &Outer::parse(header)?, header)?;
            Ok((change.types, change.size))
        })
    }

    #[test]
    fn segments_know_what_is_around_them() -> Result {
        let sum = [0, 0, 0, 0, 0, 0, 1, 0];
        for (header, tunnel) in [
            (v4(GRE, 0, &[0, 0, 8, 0])?, GsoTypes::GRE),
            (v4(GRE, 12, &[0, 0, 8, 0])?, GsoTypes::GRE),
            (
                v4(GRE, 0, &[0x80, 0, 8, 0, 0, 0, 0, 0])?,
                GsoTypes::GRE_CSUM,
            ),
            (
                v4(GRE, 12, &[0x80, 0, 8, 0, 0, 0, 0, 0])?,
                GsoTypes::GRE_CSUM,
            ),
            (v6(GRE, &[0x7f, 0, 8, 0])?, GsoTypes::GRE),
            (v6(GRE, &[0x80, 0, 8, 0, 0, 0, 0, 0])?, GsoTypes::GRE_CSUM),
            (v4(IPPROTO_UDP, 0, &[0; UDP_LEN])?, GsoTypes::UDP_TUNNEL),
            (v4(IPPROTO_UDP, 0, &sum)?, GsoTypes::UDP_TUNNEL_CSUM),
            (v4(IPPROTO_UDP, 40, &sum)?, GsoTypes::UDP_TUNNEL_CSUM),
            (v6(IPPROTO_UDP, &[0; UDP_LEN])?, GsoTypes::UDP_TUNNEL),
            (v6(IPPROTO_UDP, &sum)?, GsoTypes::UDP_TUNNEL_CSUM),
            (v4(4, 0, &[])?, GsoTypes::IPXIP4),
            (v4(41, 0, &[])?, GsoTypes::IPXIP4),
            (v6(4, &[])?, GsoTypes::IPXIP6),
            (v6(41, &[])?, GsoTypes::IPXIP6),
            (v6(0, &[41, 0, 0, 0, 0, 0, 0, 0])?, GsoTypes::IPXIP6),
        ] {
            let types = tunnel.and(GsoTypes::DODGY);
            let smaller = 1000 - header.len() as u16;
            for tcp in [GsoTypes::TCPV4, GsoTypes::TCPV6] {
                assert!(change(tcp, 1000, &header) == Ok((types, Some(smaller))));
            }
            // The gso_size of datagrams is kept.
            for datagrams in [GsoTypes::UDP_L4, GsoTypes::SCTP] {
                assert!(change(datagrams, 1000, &header) == Ok((types, None)));
            }
            assert!(change(GsoTypes::DODGY, 1000, &header) == Err(ENOTSUPP));
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_cut_is_refused() -> Result {
        let tcp = |header: KVec<u8>| change(GsoTypes::TCPV4, 1000, &header);
        assert!(tcp(v4(ESP, 0, &[0; 8])?) == Err(EPROTONOSUPPORT));
        assert!(tcp(v6(ESP, &[0; 8])?) == Err(EPROTONOSUPPORT));
        // Protocol 0 (hop-by-hop options) exists in IPv6 only.
        assert!(tcp(v4(0, 0, &[0; 8])?) == Err(EPROTONOSUPPORT));
        assert!(tcp(v6(0, &[])?) == Err(EPROTONOSUPPORT));
        assert!(tcp(v4(GRE, 0, &[0; 3])?) == Err(EINVAL));
        assert!(tcp(v4(GRE, 8, &[0; 3])?) == Err(EINVAL));
        assert!(tcp(v6(GRE, &[0; 3])?) == Err(EINVAL));
        Ok(())
    }

    // docs/differences.md: GSO packets in a GRE or UDP tunnel, and a further header
    #[test]
    fn segments_in_a_tunnel_get_no_second_one() -> Result {
        for header in [v4(GRE, 0, &[0; 4])?, v6(4, &[])?] {
            for tunnel in [
                GsoTypes::GRE,
                GsoTypes::GRE_CSUM,
                GsoTypes::UDP_TUNNEL,
                GsoTypes::UDP_TUNNEL_CSUM,
            ] {
                for inner in [GsoTypes::TCPV4, GsoTypes::UDP_L4] {
                    assert!(change(inner.and(tunnel), 1000, &header) == Err(ENOTSUPP));
                }
            }
            // Segmentation of IP in IP does not use the inner header offsets.
            assert!(change(GsoTypes::TCPV4.and(GsoTypes::IPXIP4), 1000, &header).is_ok());
        }
        Ok(())
    }

    #[test]
    fn segments_do_not_shrink_to_nothing() -> Result {
        let header = v4(4, 0, &[])?;
        assert!(change(GsoTypes::TCPV4, 28, &header).map(|(_, size)| size) == Ok(Some(8)));
        for size in [1, 19, 20, 21, 27] {
            assert!(change(GsoTypes::TCPV4, size, &header) == Err(EMSGSIZE));
        }
        Ok(())
    }

    #[test]
    fn packet_of_segments_is_changed_or_left_alone() -> Result {
        let tcp = GsoTypes::TCPV4;
        with_packet(|skb, _| {
            skb.set_gso(tcp, 500, 3);
            push(skb, &v4(GRE, 0, &[0; 4])?, Direction::Ingress)?;
            let headers = skb.headers();
            let types = tcp.and(GsoTypes::GRE).and(GsoTypes::DODGY);
            assert!(headers.gso_types == types);
            assert_eq!((headers.gso_size, headers.gso_segs), (476, 0));
            Ok(())
        })?;
        with_packet(|skb, _| {
            skb.set_gso(GsoTypes::UDP_L4, 500, 3);
            push(skb, &v4(GRE, 0, &[0; 4])?, Direction::Egress)?;
            let headers = skb.headers();
            assert_eq!((headers.gso_size, headers.gso_segs), (500, 3));
            Ok(())
        })?;
        with_packet(|skb, _| {
            skb.set_gso(tcp, 500, 3);
            let before = skb.headers();
            for (header, error) in [
                (v4(ESP, 0, &[0; 8])?, EPROTONOSUPPORT),
                (v4(GRE, 0, &[0; 3])?, EINVAL),
            ] {
                assert!(push(skb, &header, Direction::Egress) == Err(error));
                assert!(skb.headers() == before);
            }
            Ok(())
        })
    }
}
