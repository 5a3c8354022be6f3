// SPDX-License-Identifier: GPL-2.0-only

//! Ownership of packets.

use kernel::prelude::*;

#[kunit_tests(lwtcls_skbuff)]
mod tests {
    use super::*;
    use crate::abstractions::{
        net::skbuff::DropReason,
        testing::{
            self,
            HEADROOM, //
        }, //
    };

    #[test]
    fn drop_frees_once() -> Result {
        let (skb, watch) = testing::skb(60)?;
        assert!(!watch.freed());
        drop(skb);
        assert!(watch.freed());
        Ok(())
    }

    #[test]
    fn free_frees_once() -> Result {
        let (skb, watch) = testing::skb(60)?;
        skb.free(DropReason::NOMEM);
        assert!(watch.freed());
        Ok(())
    }

    #[test]
    fn into_raw_keeps_the_packet() -> Result {
        let (skb, watch) = testing::skb(60)?;
        let raw = testing::round_trip(skb);
        assert!(!watch.freed());
        drop(raw);
        assert!(watch.freed());
        Ok(())
    }

    #[test]
    fn headroom_is_expanded() -> Result {
        // `pskb_expand_head()` requires an skb that is not shared.
        let mut skb = testing::lone_skb(60)?;
        assert_eq!(skb.headroom(), HEADROOM);
        skb.expand_headroom(100)?;
        assert!(skb.headroom() >= HEADROOM + 100);
        Ok(())
    }

    #[test]
    fn mac_header_that_is_not_set_is_not_read() -> Result {
        let mut skb = testing::lone_skb(60)?;
        testing::set_transport(&mut skb, 0);
        assert!(!skb.has_mac_header());
        skb.set_checksum_complete();
        skb.postpush_mac_header();
        assert!(skb.checksum_holds());
        // There is no MAC header to strip.
        assert!(skb.strip_mac_header());
        assert!(skb.len() == 60 && skb.checksum_holds());
        Ok(())
    }

    #[test]
    fn transport_header_is_linear_data() -> Result {
        let mut skb = testing::lone_skb(60)?;
        for (offset, set) in [(0, 0), (60, 60), (61, 60), (20, 20), (u16::MAX, 20)] {
            testing::set_transport(&mut skb, offset);
            assert_eq!(skb.headers().transport, set);
        }
        Ok(())
    }

    #[test]
    fn headroom_beyond_an_int_is_refused() -> Result {
        let mut skb = testing::lone_skb(60)?;
        assert!(skb.expand_headroom(u32::MAX) == Err(ENOMEM));
        assert_eq!(skb.headroom(), HEADROOM);
        Ok(())
    }
}
