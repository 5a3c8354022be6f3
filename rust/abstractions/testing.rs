// SPDX-License-Identifier: GPL-2.0-only

//! Real kernel objects for KUnit suites: packets, programs, requests, messages.

use super::{
    bindings,
    bpf::{
        push_encap,
        Prog,
        ProgMem,
        TcProg, //
    },
    net::{
        dst::Dst,
        encap::{
            EncapSkb,
            PushEncap,
            Side, //
        },
        lwtunnel,
        netlink::{
            Attr,
            ExtAck,
            Message, //
        },
        pkt_cls::{
            Action,
            ClassResult,
            Classifier,
            Entry,
            Exts,
            FilterRef,
            FilterTable,
            Parts,
            TcRan,
            TcRun,
            TcSkb,
            Tca,
            TcfProto,
            Verdict, //
        },
        skbuff::{
            shared_info,
            GsoTypes,
            SkBuff,
            Skb, //
        },
    },
    sync::{
        bottom_half::BhDisabled,
        rtnl::{
            self,
            Caller, //
        }, //
    },
    uapi::ETH_P_IP, //
};
use core::{
    mem::{
        align_of,
        size_of,
        zeroed, //
    },
    ptr::NonNull,
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Watches a packet: holds a reference to it besides the one that is tested.
pub(crate) struct SkbWatch(NonNull<bindings::sk_buff>);

/// Bytes in front of the data of a packet that [`skb`] makes.
pub(crate) const HEADROOM: u32 = 64;

/// A packet of `len` bytes, each of them its own index, and the means to see it freed.
pub(crate) fn skb(len: u32) -> Result<(Skb, SkbWatch)> {
    // SAFETY: FFI calls; the packet is ours alone, and has the room that is used.
    unsafe {
        let skb = bindings::alloc_skb(HEADROOM + len, bindings::GFP_ATOMIC);
        let watch = SkbWatch(NonNull::new(skb).ok_or(ENOMEM)?);
        bindings::skb_reserve(skb, HEADROOM as c_int);
        let data = bindings::skb_put(skb, len).cast::<u8>();
        for i in 0..len {
            data.add(i as usize).write(i as u8);
        }
        Ok((Skb::from_raw(bindings::skb_get(skb)), watch))
    }
}

/// A packet as [`skb`] makes it, which nobody watches.
pub(crate) fn lone_skb(len: u32) -> Result<Skb> {
    let (skb, _) = skb(len)?;
    Ok(skb)
}

/// What there is to know about an encapsulated packet. Offsets count from where the data begin.
#[derive(PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) protocol_be: u16,
    pub(crate) network: i32,
    pub(crate) transport: i32,
    pub(crate) encapsulation: bool,
    pub(crate) inner_protocol_be: u16,
    pub(crate) inner_mac: i32,
    pub(crate) inner_network: i32,
    pub(crate) inner_transport: i32,
    pub(crate) hash: u32,
    pub(crate) gso_types: GsoTypes,
    pub(crate) gso_size: u16,
    pub(crate) gso_segs: u16,
}

impl SkBuff {
    /// Sets a packet up as it reaches a hook: with a link header of `mac_len` bytes in front, a
    /// network header of `ip_len` bytes, a hash, and a device.
    pub(crate) fn enter_lwt(&mut self, protocol: u16, mac_len: u16, ip_len: u16, dst: Dst<'_>) {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid and ours, and longer than these headers.
        unsafe {
            bindings::skb_reset_mac_header(skb);
            (*skb).mac_len = mac_len;
            bindings::__skb_pull(skb, mac_len.into());
            bindings::skb_reset_network_header(skb);
            bindings::skb_set_transport_header(skb, ip_len.into());
            let headers = (*skb).__bindgen_anon_4.headers.as_mut();
            headers.protocol = protocol;
            headers.hash = 7;
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = dst.dev().as_ptr();
        }
    }

    /// Gives the packet a route, which must outlive it, or takes it away.
    pub(crate) fn set_dst(&mut self, dst: Option<Dst<'_>>) {
        // The lowest bit says that the route is not counted.
        let refdst = dst.map_or(0, |dst| dst.as_ptr() as usize | 1);
        // SAFETY: The packet is valid and ours.
        unsafe {
            (*self.as_ptr())
                .__bindgen_anon_3
                .__bindgen_anon_1
                ._skb_refdst = refdst as c_ulong;
        }
    }

    /// Makes it one of segments.
    pub(crate) fn set_gso(&mut self, types: GsoTypes, size: u16, segs: u16) {
        // SAFETY: The packet is valid and ours.
        unsafe {
            let shared = shared_info(self.as_ptr());
            (*shared).gso_type = types.bits();
            (*shared).gso_size = size;
            (*shared).gso_segs = segs;
        }
    }

    /// Has the packet know the sum of all its data, as from a device.
    pub(crate) fn set_checksum_complete(&mut self) {
        let sum = self.sum();
        let headers = self.headers_mut();
        headers.set_ip_summed(bindings::CHECKSUM_COMPLETE as u8);
        headers.__bindgen_anon_1.csum = sum;
    }

    /// Whether what the packet knows of its sum is true.
    pub(crate) fn checksum_holds(&self) -> bool {
        // SAFETY: The packet is valid.
        let known = unsafe {
            (*self.as_ptr())
                .__bindgen_anon_4
                .headers
                .as_ref()
                .__bindgen_anon_1
                .csum
        };
        // As sums of 16 bits, of which 0 and 0xffff are the same.
        known % 0xffff == self.sum() % 0xffff
    }

    fn sum(&self) -> u32 {
        // SAFETY: The packet is valid, and has that many bytes.
        unsafe { bindings::skb_checksum(self.as_ptr(), 0, self.len() as c_int, 0) }
    }

    /// The bytes of the linear part.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: The packet is valid, and has that many bytes there.
        unsafe { core::slice::from_raw_parts((*self.as_ptr()).data, self.headlen() as usize) }
    }

    /// What is written down about the packet's headers.
    pub(crate) fn headers(&self) -> Headers {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid, and both views of the union have the fields at the same
        // place.
        unsafe {
            let headers = (*skb).__bindgen_anon_4.headers.as_ref();
            let shared = shared_info(skb);
            let data = (*skb).data.offset_from((*skb).head) as i32;
            let offset = |header: u16| i32::from(header) - data;
            Headers {
                protocol_be: headers.protocol,
                network: offset(headers.network_header),
                transport: offset(headers.transport_header),
                encapsulation: headers.encapsulation() != 0,
                inner_protocol_be: headers.__bindgen_anon_5.inner_protocol,
                inner_mac: offset(headers.inner_mac_header),
                inner_network: offset(headers.inner_network_header),
                inner_transport: offset(headers.inner_transport_header),
                hash: headers.hash,
                gso_types: GsoTypes::from_bits((*shared).gso_type),
                gso_size: (*shared).gso_size,
                gso_segs: (*shared).gso_segs,
            }
        }
    }

    /// Overwrites bytes at the beginning of the linear data.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.headlen() as usize);
        // SAFETY: The packet is valid and ours, and has the bytes by the assertion.
        unsafe {
            let data = (*self.as_ptr()).data;
            data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// Has the IP layer's control block say that an IPv4 header has options, and that the packet came
    /// in by a device of a VRF.
    pub(crate) fn set_ip_options(&mut self) {
        let cb = self.inet_cb();
        cb.iif = 3;
        cb.opt.optlen = 8;
        cb.opt.rr = 20;
        cb.opt.ts = 24;
        cb.flags = bindings::IPSKB_L3SLAVE as u16;
        cb.frag_max_size = 1000;
    }

    /// What the IP layer's control block says as one of IPv4: the device, the length of the options,
    /// where one of them is, and whether the packet came in by a device of a VRF.
    pub(crate) fn seen_by_inet(&mut self) -> (c_int, u8, u8, bool) {
        let cb = self.inet_cb();
        let slave = u32::from(cb.flags) & bindings::IPSKB_L3SLAVE != 0;
        (cb.iif, cb.opt.optlen, cb.opt.rr, slave)
    }

    /// What it says as one of IPv6: the device, where the next header is named, the size of the
    /// largest fragment, and whether the packet came in by a device of a VRF.
    pub(crate) fn seen_by_inet6(&mut self) -> (c_int, u16, u16, bool) {
        let cb = self.inet6_cb();
        let slave = u32::from(cb.flags) & bindings::IP6SKB_L3SLAVE != 0;
        (cb.iif, cb.nhoff, cb.frag_max_size, slave)
    }

    /// Uses up all the room in front of the data.
    pub(crate) fn take_headroom(&mut self) {
        let headroom = self.headroom();
        // SAFETY: The packet is valid, and has that room.
        unsafe { bindings::__skb_push(self.as_ptr(), headroom) };
    }
}

/// Has `T` push a header, as for a program.
pub(crate) fn push<T: PushEncap>(skb: &mut SkBuff, header: &[u8], side: Side) -> Result {
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: Nobody has pointers into the packet. The header is lent for the call.
    unsafe {
        T::push(
            EncapSkb::new(skb, side),
            ProgMem::from_raw(header.as_ptr(), header.len()),
        )
    }
}

/// Lends bytes as a program does.
pub(crate) fn with_mem<R>(bytes: &[u8], f: impl FnOnce(ProgMem<'_>) -> R) -> R {
    // SAFETY: Lent for the call.
    f(unsafe { ProgMem::from_raw(bytes.as_ptr(), bytes.len()) })
}

/// What the core is told when a handler that took a packet on input answers `code`.
pub(crate) fn received(code: c_int) -> c_int {
    lwtunnel::Received::new(code).into()
}

/// What the core is told when a handler that took a packet on output answers `code`.
pub(crate) fn sent(code: c_int) -> c_int {
    lwtunnel::Sent::new(code).into()
}

/// The answer by which a hook on xmit leaves a packet to the core.
pub(crate) const XMIT_CONTINUE: c_int = bindings::LWTUNNEL_XMIT_CONTINUE as c_int;

/// Says that the transport header of an IPv4 packet is so many bytes from its data.
pub(crate) fn set_transport(skb: &mut SkBuff, offset: u16) {
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: Nobody has pointers into the packet.
    let mut skb = unsafe { EncapSkb::new(skb, Side::Ingress) };
    skb.set_outer(ETH_P_IP, Some(offset));
}

/// Has `T` push the first `len` bytes of the packet, as for a program that lends a slice of it. The
/// result is that of the helper: 0, or an errno.
pub(crate) fn push_own_bytes<T: PushEncap>(skb: &mut SkBuff, len: u32, side: Side) -> c_int {
    assert!(len <= skb.headlen());
    let _guard = kernel::sync::rcu::read_lock();
    let skb = skb.as_ptr();
    // SAFETY: The packet is valid and ours, has so many bytes of linear data, and nobody uses
    // pointers into it afterwards.
    unsafe { push_encap::Adapter::<T>::push(skb, (*skb).data.cast(), len, side) }
}

/// Gives a packet away, and gets it back.
pub(crate) fn round_trip(skb: Skb) -> Skb {
    // SAFETY: The very packet that was given away.
    unsafe { Skb::from_raw(skb.into_raw()) }
}

impl SkbWatch {
    /// Whether the reference that is tested was given back, once.
    pub(crate) fn freed(&self) -> bool {
        // SAFETY: The packet is valid, for the watch has a reference.
        unsafe { (*self.0.as_ptr()).users.refs.counter == 1 }
    }

    /// The packet.
    fn skb(&self) -> &SkBuff {
        // SAFETY: The packet is valid, for the watch has a reference, and a suite touches it by one
        // way at a time.
        unsafe { SkBuff::from_raw_mut(self.0.as_ptr()) }
    }

    /// The bytes in front of the data.
    pub(crate) fn headroom(&self) -> u32 {
        self.skb().headroom()
    }

    /// Sets the packet up as it reaches a classifier: with a link header of `mac_len` bytes, and
    /// its data beginning behind it if it comes in.
    pub(crate) fn enter_tc(&self, mac_len: u16, at_ingress: bool) {
        // SAFETY: The packet is valid, for the watch has a reference, and longer than its MAC header.
        unsafe {
            let skb = self.0.as_ptr();
            bindings::skb_reset_mac_header(skb);
            (*skb).mac_len = mac_len;
            (*skb)
                .__bindgen_anon_4
                .headers
                .as_mut()
                .set_tc_at_ingress(at_ingress.into());
            if at_ingress {
                bindings::__skb_pull(skb, mac_len.into());
            }
        }
    }

    /// Makes it one of a protocol (`ETH_P_*`, in network byte order) whose header begins where the
    /// data does, on the device of a route.
    pub(crate) fn set_protocol(&self, protocol: u16, dst: Dst<'_>) {
        // SAFETY: The packet is valid, for the watch has a reference.
        unsafe {
            let skb = self.0.as_ptr();
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = dst.dev().as_ptr();
            (*skb).__bindgen_anon_4.headers.as_mut().protocol = protocol;
            bindings::skb_reset_network_header(skb);
        }
    }

    /// The packet as tc sees it.
    pub(crate) fn tc(&mut self) -> TcSkb<'_> {
        // SAFETY: The packet is valid; who has it besides does not touch it meanwhile.
        unsafe { TcSkb::from_raw(self.0.as_ptr()) }
    }

    /// Sets the type of a time stamp, and no time stamp.
    pub(crate) fn set_tstamp_type(&self, kind: u8) {
        // SAFETY: The packet is valid, for the watch has a reference, and a suite touches it by one
        // way at a time.
        unsafe {
            (*self.0.as_ptr()).__bindgen_anon_2.tstamp = 0;
            SkBuff::from_raw_mut(self.0.as_ptr())
                .headers_mut()
                .set_tstamp_type(kind);
        }
    }

    /// The type of the time stamp.
    pub(crate) fn tstamp_type(&self) -> u8 {
        self.skb().headers_ref().tstamp_type()
    }
}

impl Verdict<'_> {
    /// What becomes of the packet.
    pub(crate) fn action(self) -> Action {
        Action::from_code(self.code()).unwrap_or(Action::UNSPEC)
    }
}

impl TcRun<'_> {
    /// The bytes that a program can read directly.
    pub(crate) fn direct_len(&self) -> usize {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid, and the end is in its buffer.
        unsafe {
            let ends = (&raw const (*skb).cb).cast::<bindings::bpf_skb_data_end>();
            (*ends).data_end as usize - (*skb).data as usize
        }
    }
}

impl TcRan<'_> {
    /// Cuts the packet, which is longer, off.
    pub(crate) fn trim(&mut self, len: u32) {
        let skb = self.as_ptr();
        // SAFETY: The packet is valid, linear and longer.
        unsafe {
            (*skb).tail -= (*skb).len - len;
            (*skb).len = len;
        }
    }
}

impl Drop for SkbWatch {
    fn drop(&mut self) {
        // SAFETY: The watch's own reference.
        drop(unsafe { Skb::from_raw(self.0.as_ptr()) });
    }
}

/// Watches a program: holds a reference to it besides those that are tested.
pub(crate) struct ProgWatch(NonNull<bindings::bpf_prog>);

const BPF_LD_B_ABS: u16 = 0x30;
const BPF_RET_K: u16 = 0x06;
const BPF_RET_A: u16 = 0x16;

fn classic(code: &mut [bindings::sock_filter]) -> Result<ProgWatch> {
    let mut prog = core::ptr::null_mut();
    let mut fprog = bindings::sock_fprog_kern {
        len: code.len() as u16,
        filter: code.as_mut_ptr(),
    };
    // SAFETY: `fprog` describes valid instructions, which the callee copies.
    to_result(unsafe { bindings::bpf_prog_create(&mut prog, &mut fprog) })?;
    let prog = NonNull::new(from_err_ptr(prog)?).ok_or(ENOMEM)?;
    // SAFETY: Made just now. It comes uncounted; this is the reference of the watch.
    unsafe { bindings::bpf_prog_inc(prog.as_ptr()) };
    Ok(ProgWatch(prog))
}

const fn insn(code: u16, k: u32) -> bindings::sock_filter {
    bindings::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

impl ProgWatch {
    /// A program that does nothing but return `value`.
    pub(crate) fn returning(value: u32) -> Result<Self> {
        classic(&mut [insn(BPF_RET_K, value)])
    }

    /// A program that returns the first byte of the packet's data.
    pub(crate) fn first_byte() -> Result<Self> {
        classic(&mut [insn(BPF_LD_B_ABS, 0), insn(BPF_RET_A, 0)])
    }

    /// A reference to the program, as if it was one of type `T`.
    pub(crate) fn prog<T>(&self) -> Prog<T> {
        // SAFETY: The program is valid, the new reference is given away, and a program that only
        // returns runs in any place.
        unsafe {
            bindings::bpf_prog_inc(self.0.as_ptr());
            Prog::from_raw(self.0)
        }
    }

    /// As [`Self::prog`], for tc.
    pub(crate) fn tc_prog(&self) -> TcProg {
        // SAFETY: The program is valid, for the watch has a reference.
        unsafe {
            bindings::bpf_prog_inc(self.0.as_ptr());
            TcProg::from_raw(self.0)
        }
    }

    /// How many references are out.
    pub(crate) fn refs(&self) -> i64 {
        // SAFETY: The program is valid, for the watch has a reference.
        unsafe { (*(*self.0.as_ptr()).aux).refcnt.counter - 1 }
    }
}

impl Drop for ProgWatch {
    fn drop(&mut self) {
        if self.refs() != 0 {
            flush_deferred();
        }
        if kernel::warn_on!(self.refs() != 0) {
            return;
        }
        // SAFETY: A classic program is destroyed, not put; the watch's reference was the last.
        unsafe { bindings::bpf_prog_destroy(self.0.as_ptr()) };
    }
}

/// Attributes as a client would write them, right or wrong.
pub(crate) struct Request(KVec<u8>);

impl Request {
    /// No attribute.
    pub(crate) fn new() -> Self {
        Self(KVec::new())
    }

    /// Adds an attribute.
    pub(crate) fn put(mut self, kind: usize, payload: &[u8]) -> Result<Self> {
        let len = size_of::<bindings::nlattr>() + payload.len();
        self.0
            .extend_from_slice(&(len as u16).to_ne_bytes(), GFP_KERNEL)?;
        self.0
            .extend_from_slice(&(kind as u16).to_ne_bytes(), GFP_KERNEL)?;
        self.0.extend_from_slice(payload, GFP_KERNEL)?;
        while self.0.len() % 4 != 0 {
            self.0.push(0, GFP_KERNEL)?;
        }
        Ok(self)
    }

    /// Adds a number.
    pub(crate) fn put_u32(self, kind: usize, value: u32) -> Result<Self> {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute with attributes in it.
    pub(crate) fn nest(self, kind: usize, inner: &Self) -> Result<Self> {
        self.put(kind, &inner.0)
    }

    /// Adds bytes that are no attribute.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Result<Self> {
        self.0.extend_from_slice(bytes, GFP_KERNEL)?;
        Ok(self)
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first attribute.
    pub(crate) fn attr(&self) -> Attr<'_> {
        let attr = self.0.as_ptr();
        assert_eq!(attr.align_offset(align_of::<bindings::nlattr>()), 0);
        // SAFETY: `put` wrote an attribute there, with a length that fits, and it is borrowed.
        match unsafe { Attr::from_raw(attr.cast()) } {
            Some(attr) => attr,
            None => unreachable!(),
        }
    }

    /// Gives the attributes to `f` as the core gives a parsed request to a classifier. All of
    /// them must be complete.
    pub(crate) fn with_tca<R>(&self, f: impl for<'a> FnOnce(&'a Tca<'a>) -> R) -> R {
        let mut table = [core::ptr::null_mut(); bindings::__TCA_MAX as usize];
        let mut at = 0;
        while at < self.0.len() {
            let attr = self.0.as_ptr().wrapping_add(at).cast::<bindings::nlattr>();
            // SAFETY: `put` wrote an attribute there.
            let (len, kind) = unsafe { ((*attr).nla_len, (*attr).nla_type) };
            table[usize::from(kind)] = attr.cast_mut();
            at += usize::from(len).next_multiple_of(4);
        }
        // SAFETY: Each entry is null, or an attribute in the buffer, which is borrowed.
        f(unsafe { Tca::from_raw(table.as_mut_ptr()) })
    }
}

/// Takes what a refusal says.
pub(crate) struct ExtAckBuf(KBox<bindings::netlink_ext_ack>);

impl ExtAckBuf {
    /// An empty one.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: All zeroes are an empty one.
        Ok(Self(KBox::new(unsafe { zeroed() }, GFP_KERNEL)?))
    }

    /// For passing on.
    pub(crate) fn extack(&mut self) -> ExtAck<'_> {
        // SAFETY: Valid, and borrowed for as long.
        unsafe { ExtAck::from_raw(&mut *self.0) }
    }

    /// The sentence.
    pub(crate) fn message(&self) -> Option<&CStr> {
        // SAFETY: Null, or a static string, or the buffer inside.
        (!self.0._msg.is_null()).then(|| unsafe { CStr::from_char_ptr(self.0._msg) })
    }

    /// Whether an attribute was pointed at.
    pub(crate) fn has_attr(&self) -> bool {
        !self.0.bad_attr.is_null()
    }
}

/// Runs `f` with an IPv4 route over the loopback device, inside of an RCU read side. It does not
/// hold RTNL: an assertion that fails ends its thread, and would keep it.
pub(crate) fn with_dst<R>(f: impl FnOnce(Dst<'_>) -> R) -> Result<R> {
    const LOOPBACK_IFINDEX: c_int = 1;
    // SAFETY: All zeroes are operations that do nothing.
    let mut ops = KBox::<bindings::dst_ops>::new(unsafe { zeroed() }, GFP_KERNEL)?;
    ops.family = bindings::AF_INET as u16;
    // SAFETY: All zeroes are a route of no use but for its device, which the first namespace has for
    // ever, and which is looked for under RTNL.
    let mut dst = unsafe {
        let _rtnl = rtnl::lock();
        let mut dst = KBox::<bindings::dst_entry>::new(zeroed(), GFP_KERNEL)?;
        let net = &raw mut bindings::init_net;
        dst.__bindgen_anon_1.dev = bindings::__dev_get_by_index(net, LOOPBACK_IFINDEX);
        assert!(!dst.__bindgen_anon_1.dev.is_null());
        dst.ops = &raw mut *ops;
        dst
    };
    let _guard = kernel::sync::rcu::read_lock();
    // SAFETY: The route stays during the call, which is made in a read side.
    Ok(f(unsafe { Dst::from_raw(&mut *dst) }))
}

/// An instance of a classifier, with a chain and a block that nothing else knows.
pub(crate) struct ProtoBuf<T: Classifier> {
    filters: Pin<KBox<FilterTable<T>>>,
    tp: KBox<bindings::tcf_proto>,
    _chain: KBox<bindings::tcf_chain>,
    _block: KBox<bindings::tcf_block>,
}

impl<T: Classifier> ProtoBuf<T> {
    /// One without filters, qdisc and devices.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: All zeroes are an instance, a chain and a block of use where only what follows
        // is looked at.
        let (mut tp, mut chain, mut block) = unsafe {
            (
                KBox::<bindings::tcf_proto>::new(zeroed(), GFP_KERNEL)?,
                KBox::<bindings::tcf_chain>::new(zeroed(), GFP_KERNEL)?,
                KBox::<bindings::tcf_block>::new(zeroed(), GFP_KERNEL)?,
            )
        };
        // SAFETY: All of it stays where it is, on the heap.
        unsafe {
            bindings::init_rwsem(&mut block.cb_lock);
            bindings::INIT_LIST_HEAD_RCU(&mut block.flow_block.cb_list);
            bindings::spin_lock_init(&mut tp.lock);
        }
        chain.block = &mut *block;
        tp.chain = &mut *chain;
        Ok(Self {
            filters: KBox::try_pin_init(FilterTable::new(), GFP_KERNEL)?,
            tp,
            _chain: chain,
            _block: block,
        })
    }

    /// The instance.
    pub(crate) fn proto(&self) -> TcfProto<'_, T> {
        // SAFETY: The instance stays while it is borrowed, and has no other table.
        unsafe { TcfProto::new(NonNull::from(&*self.tp), &self.filters) }
    }

    /// Where a dump goes on that stopped at a filter, if `change` is called meanwhile.
    pub(crate) fn resume(&self, at: FilterRef<'_, T>, change: impl FnOnce()) -> Option<u32> {
        let bookmark = self.filters.bookmark(&at);
        drop(at);
        change();
        self.filters
            .at_bookmark(bookmark)
            .map(|filter| filter.handle())
    }

    /// Marks the instance as one that another request deletes.
    pub(crate) fn set_deleting(&mut self) {
        self.tp.deleting = true;
    }
}

/// A device that takes one program, and does as it is told or not.
pub(crate) struct FakeDevice {
    entry: KBox<bindings::flow_block_cb>,
    state: KBox<FakeState>,
}

struct FakeState {
    takes: Atomic<i32>,
    gives: Atomic<i32>,
    prog: Atomic<usize>,
}

impl FakeDevice {
    /// One that does all that it is told, as a new member of the instance's block. It must go
    /// after the instance.
    pub(crate) fn plug<T: Classifier>(proto: &mut ProtoBuf<T>) -> Result<Self> {
        let state = KBox::new(
            FakeState {
                takes: Atomic::new(1),
                gives: Atomic::new(1),
                prog: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: All zeroes are an empty entry.
        let mut entry = KBox::<bindings::flow_block_cb>::new(unsafe { zeroed() }, GFP_KERNEL)?;
        entry.cb = Some(Self::callback);
        entry.cb_priv = (&raw const *state).cast_mut().cast();
        // SAFETY: Both stay where they are, on the heap.
        unsafe { bindings::list_add(&mut entry.list, &mut proto._block.flow_block.cb_list) };
        Ok(Self { entry, state })
    }

    /// Whether it takes programs, and whether it gives them up, from now on.
    pub(crate) fn set(&self, takes: bool, gives: bool) {
        self.state.takes.store(takes.into(), Relaxed);
        self.state.gives.store(gives.into(), Relaxed);
    }

    /// Whether it has that program.
    pub(crate) fn has(&self, prog: &TcProg) -> bool {
        self.state.prog.load(Relaxed) == prog.as_ptr() as usize
    }

    /// Whether it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.prog.load(Relaxed) == 0
    }

    /// # Safety
    ///
    /// `data` is a command for classifiers of the kind `bpf`, and `private` that of a device.
    unsafe extern "C" fn callback(
        _kind: bindings::tc_setup_type,
        data: *mut c_void,
        private: *mut c_void,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (command, state) = unsafe {
            (
                &*data.cast::<bindings::tc_cls_bpf_offload>(),
                &*private.cast::<FakeState>(),
            )
        };
        let may = if command.prog.is_null() {
            &state.gives
        } else {
            &state.takes
        };
        if may.load(Relaxed) == 0 || command.oldprog as usize != state.prog.load(Relaxed) {
            return EBUSY.to_errno();
        }
        state.prog.store(command.prog as usize, Relaxed);
        0
    }
}

impl Drop for FakeDevice {
    fn drop(&mut self) {
        // The instance has gone, and its block with it: nothing is left to be taken out of.
        self.entry.cb = None;
    }
}

/// Somebody who does not hold RTNL.
pub(crate) fn caller() -> Caller {
    // SAFETY: Nothing is claimed to be held.
    unsafe { Caller::new(false) }
}

/// No actions, in the first namespace.
pub(crate) fn no_actions(act: usize, police: usize) -> Result<Exts<'static>> {
    // SAFETY: That namespace is for ever.
    unsafe { Exts::none(&raw mut bindings::init_net, act, police) }
}

/// A filter as a request would make it.
pub(crate) fn entry<T: Classifier>(parts: Parts<'static, T>) -> Result<Entry<'static, T>> {
    Entry::with_base(0, parts)
}

/// Waits until all filters are freed that wait for it. RTNL must not be held.
pub(crate) fn flush_deferred() {
    // What was queued before is waited for: the queue is flushed by an unregistration, and there
    // is no other way to it for a module.
    // SAFETY: The table is never found: its kind is empty, and it is unlinked at once.
    unsafe {
        let mut ops: bindings::tcf_proto_ops = zeroed();
        if bindings::register_tcf_proto_ops(&mut ops) == 0 {
            bindings::unregister_tcf_proto_ops(&mut ops);
        }
    }
}

/// Where a classifier puts a class.
pub(crate) struct ResultBuf(bindings::tcf_result);

impl ResultBuf {
    /// Class 0.
    pub(crate) fn new() -> Self {
        // SAFETY: All zeroes are class 0.
        Self(unsafe { zeroed() })
    }

    /// For passing on.
    pub(crate) fn result(&mut self) -> &mut ClassResult {
        // SAFETY: The type is transparent.
        unsafe { &mut *(&raw mut self.0).cast() }
    }

    /// The class.
    pub(crate) fn classid(&self) -> u32 {
        // SAFETY: Both members of the union are plain numbers.
        unsafe { self.0.__bindgen_anon_1.__bindgen_anon_1.classid }
    }
}

/// What a hook on xmit did, as the other hooks say it: of a packet that goes on the core has the
/// pointer.
pub(crate) fn xmit(
    skb: Skb,
    hook: impl FnOnce(&BhDisabled<'_>, Skb) -> lwtunnel::Xmit,
) -> Result<lwtunnel::Verdict<lwtunnel::Sent>> {
    const CONTINUE: c_int = bindings::LWTUNNEL_XMIT_CONTINUE as c_int;

    let raw = skb.as_ptr();
    match c_int::from(BhDisabled::with(|bh| hook(bh, skb))) {
        // SAFETY: It goes on, and the hook gave it back to its caller.
        CONTINUE => Ok(lwtunnel::Verdict::Continue(unsafe { Skb::from_raw(raw) })),
        0 => Ok(lwtunnel::Verdict::Consumed(lwtunnel::Sent::OK)),
        errno => Err(Error::from_errno(errno)),
    }
}

/// What a hook did, so that a suite can compare it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The packet goes on.
    Continue,
    /// The packet is elsewhere.
    Consumed(c_int),
    /// The hook failed, with this (negative) errno.
    Error(c_int),
}

impl Outcome {
    /// Drops the packet of a verdict, if it has one.
    pub(crate) fn of<R: Into<c_int>>(verdict: Result<lwtunnel::Verdict<R>>) -> Self {
        match verdict {
            Ok(lwtunnel::Verdict::Continue(_)) => Self::Continue,
            Ok(lwtunnel::Verdict::Consumed(result)) => Self::Consumed(result.into()),
            Err(error) => Self::Error(error.to_errno()),
        }
    }
}
