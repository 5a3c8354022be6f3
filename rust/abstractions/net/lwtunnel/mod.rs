// SPDX-License-Identifier: GPL-2.0-only

//! Lightweight tunnels: what a route does to packets besides forwarding them.
//!
//! Implement [`Encap`], and hold a [`Registration`] of it.
//!
//! C header: [`include/net/lwtunnel.h`](srctree/include/net/lwtunnel.h)

mod listing;
mod states;
mod takeover;

use super::{
    dst::{
        skb_dst,
        Dst,
        DstRef, //
    },
    namespace::Inum,
    netlink::{
        Attr,
        ExtAck,
        Message,
        MessageBuf, //
    },
    skbuff::Skb, //
};
use crate::abstractions::{
    bindings,
    compat::{
        rcu_barrier,
        EAFNOSUPPORT,
        ENOBUFS,
        EOPNOTSUPP, //
    },
    sync::bottom_half::BhDisabled, //
};
use core::{
    marker::PhantomData,
    mem::{
        align_of,
        offset_of,
        size_of, //
    },
    ptr, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    fmt,
    prelude::*, //
};
use states::Links;

pub(crate) use listing::{
    Directory,
    Record, //
};

use takeover::{
    Takeover,
    OURS, //
};

/// The address family of the route that is configured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family(u16);

impl Family {
    /// IPv4.
    pub(crate) const INET: Self = Self(bindings::AF_INET as u16);
    /// IPv6.
    pub(crate) const INET6: Self = Self(bindings::AF_INET6 as u16);

    /// The family of that number (`AF_*`). `None` if it cannot be one.
    pub(crate) fn new(number: c_uint) -> Option<Self> {
        u16::try_from(number).ok().map(Self)
    }
}

/// What the core makes of a configured encapsulation.
pub(crate) struct Built<I> {
    /// Makes the encapsulation where it stays.
    pub(crate) encap: I,
    /// [`Encap::input`] is wanted.
    pub(crate) input: bool,
    /// [`Encap::output`] is wanted.
    pub(crate) output: bool,
    /// [`Encap::xmit`] is wanted.
    pub(crate) xmit: bool,
    /// Bytes that the encapsulation may add to a packet; the route's MTU is lowered by them.
    pub(crate) headroom: u16,
}

/// What a request wants an encapsulation for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new route. [`Encap::same`] says whether the kernel may let it share what it has for
    /// another one.
    Route,
    /// To find an IPv4 route that is to be deleted. [`Encap::same`] says whether this is it.
    Match,
}

/// What became of a packet that a hook on input has passed on: 0, `NET_RX_*` or an errno.
///
/// # Invariants
///
/// It is not `-EOPNOTSUPP`, for which the core frees the packet once more.
pub(crate) struct Received(c_int);

impl Received {
    /// A result of `dst_input()`, or of a handler like it.
    #[inline(always)]
    pub(in crate::abstractions) fn new(code: c_int) -> Self {
        // INVARIANT: By the call.
        Self(not_eopnotsupp(code))
    }
}

/// What became of a packet that a hook on output or xmit has passed on: 0, or an errno.
///
/// # Invariants
///
/// It is not positive, as `LWTUNNEL_XMIT_CONTINUE` is, for which the core goes on with the packet;
/// and not `-EOPNOTSUPP`, for which it frees the packet once more.
pub(crate) struct Sent(c_int);

impl Sent {
    /// The packet is gone, and its sender need not know more.
    pub(crate) const OK: Self = Self(0);

    /// A result of `dst_output()`, or of a handler like it. Congestion is no error. C:
    /// `net_xmit_errno()`.
    #[inline(always)]
    pub(in crate::abstractions) fn new(code: c_int) -> Self {
        if code == 0 {
            return Self::OK;
        }
        // INVARIANT: 0 or -ENOBUFS.
        if code == bindings::NET_XMIT_CN as c_int {
            Self::OK
        } else {
            Self(ENOBUFS.to_errno())
        }
    }
}

#[cfg(lwtcls_kunit)]
impl From<Received> for c_int {
    fn from(received: Received) -> Self {
        received.0
    }
}

#[cfg(lwtcls_kunit)]
impl From<Xmit> for c_int {
    fn from(xmit: Xmit) -> Self {
        xmit.0
    }
}

#[cfg(lwtcls_kunit)]
impl From<Sent> for c_int {
    fn from(sent: Sent) -> Self {
        sent.0
    }
}

/// The core frees a packet once more if it sees `EOPNOTSUPP`, which for it means that nobody took
/// the packet.
#[inline(always)]
fn not_eopnotsupp(code: c_int) -> c_int {
    #[cold]
    #[inline(never)]
    fn einval() -> c_int {
        EINVAL.to_errno()
    }

    if code == EOPNOTSUPP.to_errno() {
        einval()
    } else {
        code
    }
}

/// Who has the packet after a hook. An error from a hook means that the packet was freed.
#[must_use]
pub(crate) enum Verdict<R> {
    /// The route does with it what it would do without an encapsulation.
    Continue(Skb),
    /// It went elsewhere, with this result.
    Consumed(R),
}

/// What became of a packet on xmit, as the core is told: `LWTUNNEL_XMIT_CONTINUE`, 0 or an errno.
///
/// A number and no [`Verdict`], because to translate a verdict at the end costs 10 instructions for each
/// packet. On this hook every answer is a number that the core knows.
#[must_use]
pub(crate) struct Xmit(c_int);

impl Xmit {
    /// The packet goes on, and gets its MAC header.
    #[inline(always)]
    pub(crate) fn go_on(skb: Skb) -> Self {
        // The core has the pointer still.
        skb.into_raw();
        Self(bindings::LWTUNNEL_XMIT_CONTINUE as c_int)
    }

    /// It went elsewhere, or was freed.
    #[inline(always)]
    pub(crate) fn gone(how: Result<Sent>) -> Self {
        Self(match how {
            Ok(Sent(code)) => code,
            Err(error) => not_eopnotsupp(error.to_errno()),
        })
    }
}

/// An encapsulation. C: `struct lwtunnel_encap_ops`.
///
/// A value of the type lives in the tunnel state of each route that has it configured. The hooks
/// run in softirq or process context, inside an RCU read side critical section, with bottom halves off.
#[vtable]
pub(crate) trait Encap: Sized + Send + Sync {
    /// Which slot of the kernel's table it takes (`LWTUNNEL_ENCAP_*`).
    const TYPE: u32;

    /// How the kernel calls the callbacks of its own encapsulation of that type, which this one may
    /// take the slot over from. What one of them writes of itself the other one has to understand.
    const PREDECESSOR: &'static CStr;

    /// Reads a request for a value. C: `build_state`. Process context, but it may not sleep.
    fn build<'a>(
        attr: Attr<'a>,
        family: Family,
        extack: &'a mut ExtAck<'_>,
    ) -> Result<Built<impl Init<Self, Error>>>;

    /// A packet is about to be delivered or forwarded. C: `input`.
    fn input(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>>;

    /// A packet is about to be sent, not yet fragmented. C: `output`.
    fn output(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Sent>>;

    /// A packet is about to get its MAC header. C: `xmit`.
    fn xmit(&self, bh: &BhDisabled<'_>, skb: Skb, dst: Dst<'_>) -> Xmit;

    /// Writes what [`Self::build`] could read, the headroom with it. C: `fill_encap`. Under RCU.
    fn fill(&self, headroom: u16, message: &mut Message<'_>) -> Result;

    /// Bytes that [`Self::fill`] writes at most. C: `get_encap_size`. Under RCU.
    fn size(&self) -> usize;

    /// Whether a route with `other` is the same route, for this purpose. C: `cmp_encap`. Under RCU.
    fn same(&self, other: &Self, purpose: Purpose) -> bool;
}

/// What a tunnel state of ours has behind what the core has in it.
struct State<T> {
    encap: T,
    // Separate fields: an `Owner` would be padded, and a state with programs would not fit into 128
    // bytes.
    net: Inum,
    family: Family,
    purpose: Purpose,
    /// Among all of them, unless it was only made to find another one.
    links: Links,
}

/// Whose route a tunnel state was made for.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// The namespace.
    pub(crate) net: Inum,
    /// The address family.
    pub(crate) family: Family,
}

impl<T> State<T> {
    /// Whose it is.
    fn owner(&self) -> Owner {
        Owner {
            net: self.net,
            family: self.family,
        }
    }

    /// The one place that knows the layout: it lies at `data`.
    const OFFSET: usize = {
        let offset = offset_of!(bindings::lwtunnel_state, data);
        assert!(offset % align_of::<Self>() == 0);
        // More would take the next size that there is.
        assert!(cfg!(not(CONFIG_64BIT)) || offset + size_of::<Self>() <= 128);
        assert!(align_of::<Self>() <= align_of::<bindings::lwtunnel_state>());
        offset
    };

    /// Where the links are, from the beginning of the tunnel state.
    const LINKS: usize = Self::OFFSET + offset_of!(Self, links);

    fn of(lws: *mut bindings::lwtunnel_state) -> *mut Self {
        lws.wrapping_byte_add(Self::OFFSET).cast()
    }
}

/// Whether a tunnel state is one of ours, and none of whom the slot was taken over from.
///
/// # Safety
///
/// `lws` is valid.
#[inline(always)]
unsafe fn is_ours(lws: *const bindings::lwtunnel_state) -> bool {
    // SAFETY: By the safety requirements of this function. Nobody writes what is read.
    unsafe { (*lws).flags & OURS != 0 }
}

/// The callbacks by which the core reaches `T`.
pub(crate) struct Adapter<T>(PhantomData<T>);

impl<T: Encap> Adapter<T> {
    /// # Safety
    ///
    /// `lws` is a tunnel state that [`Self::build_state`] made, alive for `'a`.
    #[inline(always)]
    unsafe fn state<'a>(lws: *mut bindings::lwtunnel_state) -> &'a State<T> {
        // SAFETY: `build_state` put it there; it is only destroyed with the tunnel state.
        unsafe { &*State::<T>::of(lws) }
    }

    /// # Safety
    ///
    /// Called by the core with a request for `net` whose attributes it checked. `cfg` is null, or what the
    /// request for a route of that family was parsed into: for IPv4 a `fib_config`.
    pub(crate) unsafe extern "C" fn build_state(
        net: *mut bindings::net,
        encap: *mut bindings::nlattr,
        family: c_uint,
        cfg: *const c_void,
        ts: *mut *mut bindings::lwtunnel_state,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By the safety requirements of this function; all are there for the time of the
            // call.
            let (mut extack, attr, purpose) = unsafe {
                (
                    ExtAck::from_raw(extack),
                    Attr::from_raw(encap),
                    Self::purpose(family, cfg),
                )
            };
            let attr = attr.ok_or(EINVAL)?;
            let family = Family::new(family).ok_or(EAFNOSUPPORT)?;
            let built = T::build(attr, family, &mut extack)?;

            // SAFETY: An FFI call with no requirements.
            let lws =
                unsafe { bindings::lwtunnel_state_alloc(const { size_of::<State<T>>() as c_int }) };
            if lws.is_null() {
                return Err(ENOMEM);
            }
            let mut flags = OURS;
            if built.input {
                flags |= bindings::LWTUNNEL_STATE_INPUT_REDIRECT;
            }
            if built.output {
                flags |= bindings::LWTUNNEL_STATE_OUTPUT_REDIRECT;
            }
            if built.xmit {
                flags |= bindings::LWTUNNEL_STATE_XMIT_REDIRECT;
            }
            // SAFETY: Allocated just now with that room, and nobody else has seen it until it is in the
            // list, which `Registration::new` has initialised. If there is no encapsulation, nothing else
            // is in it yet, and the memory is ours to free. `ts` is where the core wants it.
            unsafe {
                (*lws).type_ = const { T::TYPE as u16 };
                (*lws).flags = flags;
                (*lws).headroom = built.headroom;
                let state = State::<T>::of(lws);
                built
                    .encap
                    .__init(&raw mut (*state).encap)
                    .inspect_err(|_| bindings::kfree(lws.cast()))?;
                (&raw mut (*state).purpose).write(purpose);
                (&raw mut (*state).net).write(Inum::of(net));
                (&raw mut (*state).family).write(family);
                (&raw mut (*state).links).write(Links::new());
                if purpose == Purpose::Route {
                    Links::add(&raw mut (*state).links);
                }
                *ts = lws;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As for [`Self::build_state`].
    unsafe fn purpose(family: c_uint, cfg: *const c_void) -> Purpose {
        if family != bindings::AF_INET {
            return Purpose::Route;
        }
        // SAFETY: By the safety requirements of this function. A request that has a header is there
        // for as long as the call takes.
        let kind = unsafe {
            cfg.cast::<bindings::fib_config>()
                .as_ref()
                .and_then(|cfg| cfg.fc_nlinfo.nlh.as_ref())
                .map(|header| u32::from(header.nlmsg_type))
        };
        if kind == Some(bindings::RTM_DELROUTE) {
            Purpose::Match
        } else {
            Purpose::Route
        }
    }

    /// Whether the state of a packet's route is one of ours.
    ///
    /// # Safety
    ///
    /// As for the hooks below.
    #[inline(always)]
    unsafe fn serves(skb: *mut bindings::sk_buff) -> bool {
        // SAFETY: The packet is valid, and has a route with a state.
        unsafe { is_ours((*skb_dst(skb)).lwtstate) }
    }

    /// The encapsulation of a packet's route, its tunnel state, a token of the context, the route, the
    /// packet as ours, and what has to be kept until the hook returns.
    ///
    /// # Safety
    ///
    /// As for the hooks below, and the state is ours. The results are not used after the hook
    /// returned.
    #[inline(always)]
    unsafe fn enter<'a>(
        skb: *mut bindings::sk_buff,
    ) -> (
        &'a T,
        *mut bindings::lwtunnel_state,
        BhDisabled<'a>,
        Dst<'a>,
        Skb,
        Option<DstRef>,
    ) {
        // SAFETY: The core called us inside an RCU read side, with a valid packet whose route keeps the
        // state. A program may take the packet off the route: it stays for the read side, or is held
        // here as the packet held it. Bottom halves are off: `lwtunnel_output()` and `lwtunnel_xmit()`
        // see to that, and packets are received so.
        unsafe {
            let raw = skb_dst(skb);
            let lws = (*raw).lwtstate;
            let dst = Dst::from_raw(raw);
            let held = dst.hold_for(skb);
            (
                &Self::state(lws).encap,
                lws,
                BhDisabled::assume(),
                dst,
                Skb::from_raw(skb),
                held,
            )
        }
    }

    /// What the core is told of a hook that failed.
    #[inline(always)]
    fn freed(error: Error) -> c_int {
        not_eopnotsupp(error.to_errno())
    }

    /// # Safety
    ///
    /// Called by the core, inside an RCU read side critical section, with a packet that it gives
    /// away and whose route has a state of `T::TYPE`: one of ours, or, if the slot was taken over, of
    /// whom it was taken over from.
    #[inline(always)]
    pub(crate) unsafe extern "C" fn input(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, lws, bh, dst, skb, _held) = unsafe {
            if !Self::serves(skb) {
                return takeover::input(T::TYPE, skb);
            }
            Self::enter(skb)
        };
        match encap.input(&bh, skb, dst) {
            // SAFETY: The state stays during the call, see `enter`.
            Ok(Verdict::Continue(skb)) => match unsafe { (*lws).orig_input } {
                // SAFETY: The route's own handler, which takes the packet.
                Some(orig) => Received::new(unsafe { orig(skb.into_raw()) }).0,
                None => EINVAL.to_errno(),
            },
            Ok(Verdict::Consumed(Received(code))) => code,
            Err(error) => Self::freed(error),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::input`]; `net` and `sk` are for the route's own handler.
    #[inline(always)]
    pub(crate) unsafe extern "C" fn output(
        net: *mut bindings::net,
        sk: *mut bindings::sock,
        skb: *mut bindings::sk_buff,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, lws, bh, dst, skb, _held) = unsafe {
            if !Self::serves(skb) {
                return takeover::output(T::TYPE, net, sk, skb);
            }
            Self::enter(skb)
        };
        match encap.output(&bh, skb, dst) {
            // SAFETY: The state stays during the call, see `enter`.
            Ok(Verdict::Continue(skb)) => match unsafe { (*lws).orig_output } {
                // Its result is the sender's to read, `NET_XMIT_*` included.
                // SAFETY: The route's own handler, which takes the packet.
                Some(orig) => not_eopnotsupp(unsafe { orig(net, sk, skb.into_raw()) }),
                None => EINVAL.to_errno(),
            },
            Ok(Verdict::Consumed(Sent(code))) => code,
            Err(error) => Self::freed(error),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::input`].
    #[inline(always)]
    pub(crate) unsafe extern "C" fn xmit(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, _, bh, dst, skb, _held) = unsafe {
            if !Self::serves(skb) {
                return takeover::xmit(T::TYPE, skb);
            }
            Self::enter(skb)
        };
        encap.xmit(&bh, skb, dst).0
    }

    /// # Safety
    ///
    /// Called by the core under RCU with a state of `T::TYPE`, see [`Self::input`], and a message in
    /// the making.
    pub(crate) unsafe extern "C" fn fill_encap(
        skb: *mut bindings::sk_buff,
        lws: *mut bindings::lwtunnel_state,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe {
            if !is_ours(lws) {
                return takeover::fill_encap(T::TYPE, skb, lws);
            }
        }
        from_result(|| {
            // SAFETY: By the safety requirements of this function, and the state is ours.
            let (state, headroom, mut message) =
                unsafe { (Self::state(lws), (*lws).headroom, Message::from_raw(skb)) };
            state.encap.fill(headroom, &mut message).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the core under RCU with a state of `T::TYPE`, see [`Self::input`].
    pub(crate) unsafe extern "C" fn get_encap_size(lws: *mut bindings::lwtunnel_state) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let state = unsafe {
            if !is_ours(lws) {
                return takeover::get_encap_size(T::TYPE, lws);
            }
            Self::state(lws)
        };
        c_int::try_from(state.encap.size()).unwrap_or(c_int::MAX)
    }

    /// # Safety
    ///
    /// Called by the core under RCU with two states of `T::TYPE`, see [`Self::input`].
    pub(crate) unsafe extern "C" fn cmp_encap(
        a: *mut bindings::lwtunnel_state,
        b: *mut bindings::lwtunnel_state,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let same = unsafe {
            match (is_ours(a), is_ours(b)) {
                (true, true) => {
                    let same_headroom = (*a).headroom == (*b).headroom;
                    let (a, b) = (Self::state(a), Self::state(b));
                    let purpose = if a.purpose == Purpose::Match {
                        a.purpose
                    } else {
                        b.purpose
                    };
                    // A new route that shared another one's state would have its headroom.
                    (purpose == Purpose::Match || same_headroom) && a.encap.same(&b.encap, purpose)
                }
                (false, false) => return takeover::cmp_encap(T::TYPE, a, b),
                (true, false) => Self::matches(a, b),
                (false, true) => Self::matches(b, a),
            }
        };
        (!same).into()
    }

    /// Whether a request that names `ours` to have a route deleted means the one that `theirs`, of
    /// whom the slot was taken over from, belongs to. Routes that stay do not share what they have:
    /// their packets would run the wrong program.
    ///
    /// # Safety
    ///
    /// As for [`Self::cmp_encap`]; `ours` is ours and `theirs` is not.
    unsafe fn matches(
        ours: *mut bindings::lwtunnel_state,
        theirs: *mut bindings::lwtunnel_state,
    ) -> bool {
        // What cannot be read for want of memory is left alone.
        // SAFETY: By the safety requirements of this function.
        let (ours, theirs) = unsafe {
            let state = Self::state(ours);
            if state.purpose != Purpose::Match {
                return false;
            }
            // Of the headroom the kernel's own writes nothing.
            let ours = written(state.encap.size(), |message| state.encap.fill(0, message));
            let theirs = written(
                takeover::get_encap_size(T::TYPE, theirs).max(0) as usize,
                |message| to_result(takeover::fill_encap(T::TYPE, message.as_ptr(), theirs)),
            );
            (ours, theirs)
        };
        ours.is_ok_and(|ours| theirs.is_ok_and(|theirs| ours.bytes() == theirs.bytes()))
    }
}

impl<T: Entries> Adapter<T> {
    /// # Safety
    ///
    /// Called by the core when the last reference to a state of `T::TYPE`, see [`Self::input`], is
    /// gone.
    pub(crate) unsafe extern "C" fn destroy_state(lws: *mut bindings::lwtunnel_state) {
        // SAFETY: By the safety requirements of this function. `build_state` put into a state of ours
        // what is dropped, and nobody looks at it any more. The core frees the memory.
        unsafe {
            if is_ours(lws) {
                let state = State::<T>::of(lws);
                if (*state).purpose == Purpose::Route {
                    Links::remove(&raw mut (*state).links);
                }
                ptr::drop_in_place(state);
            } else {
                takeover::destroy(T::TYPE, lws, T::OPS.owner);
            }
        }
    }
}

/// What `fill` writes, `size` bytes at most. `ENOMEM` if there is no memory for that.
fn written(size: usize, fill: impl FnOnce(&mut Message<'_>) -> Result) -> Result<MessageBuf> {
    let size = u32::try_from(size).map_err(|_| ENOMEM)?;
    let mut buf = MessageBuf::new(size)?;
    fill(&mut buf.message())?;
    Ok(buf)
}

/// The table by which the core calls an encapsulation, see [`encap_entries!`].
///
/// # Safety
///
/// The table is complete, and each of its functions does what the one of that name does in
/// [`Adapter`].
pub(crate) unsafe trait Entries: Encap {
    /// The table.
    const OPS: &'static bindings::lwtunnel_encap_ops;
}

/// What [`encap_entries!`] names.
pub(crate) mod raw {
    pub(crate) use crate::abstractions::bindings::{
        lwtunnel_encap_ops,
        lwtunnel_state,
        net,
        netlink_ext_ack,
        nlattr,
        sk_buff,
        sock, //
    };
}

/// Makes the table of an encapsulation in a module: of C functions, and defines the functions that these call.
macro_rules! encap_entries {
    (
        $encap:ty, $module:ty;
        build_state: $build_state:ident => $rust_build_state:ident,
        destroy_state: $destroy_state:ident => $rust_destroy_state:ident,
        input: $input:ident => $rust_input:ident,
        output: $output:ident => $rust_output:ident,
        xmit: $xmit:ident => $rust_xmit:ident,
        fill_encap: $fill_encap:ident => $rust_fill_encap:ident,
        get_encap_size: $get_encap_size:ident => $rust_get_encap_size:ident,
        cmp_encap: $cmp_encap:ident => $rust_cmp_encap:ident $(,)?
    ) => {
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::abstractions::{
                compat::this_module,
                entries::entries,
                net::lwtunnel::{
                    raw,
                    Adapter,
                    Entries, //
                }, //
            };
            use ::kernel::prelude::*;

            entries! {
                Adapter<$encap>:
                $build_state => $rust_build_state: build_state(net: *mut raw::net, encap: *mut raw::nlattr, family: c_uint, cfg: *const c_void, ts: *mut *mut raw::lwtunnel_state, extack: *mut raw::netlink_ext_ack) -> c_int;
                $destroy_state => $rust_destroy_state: destroy_state(lws: *mut raw::lwtunnel_state);
                $input => $rust_input: input(skb: *mut raw::sk_buff) -> c_int;
                $output => $rust_output: output(net: *mut raw::net, sk: *mut raw::sock, skb: *mut raw::sk_buff) -> c_int;
                $xmit => $rust_xmit: xmit(skb: *mut raw::sk_buff) -> c_int;
                $fill_encap => $rust_fill_encap: fill_encap(skb: *mut raw::sk_buff, lws: *mut raw::lwtunnel_state) -> c_int;
                $get_encap_size => $rust_get_encap_size: get_encap_size(lws: *mut raw::lwtunnel_state) -> c_int;
                $cmp_encap => $rust_cmp_encap: cmp_encap(a: *mut raw::lwtunnel_state, b: *mut raw::lwtunnel_state) -> c_int;
            }

            // SAFETY: The C functions are the module's, which has each of them call the function
            // that is defined for it above; the C compiler has checked their types.
            unsafe impl Entries for $encap {
                const OPS: &'static raw::lwtunnel_encap_ops = &raw::lwtunnel_encap_ops {
                    build_state: Some($build_state),
                    destroy_state: Some($destroy_state),
                    input: Some($input),
                    output: Some($output),
                    xmit: Some($xmit),
                    fill_encap: Some($fill_encap),
                    get_encap_size: Some($get_encap_size),
                    cmp_encap: Some($cmp_encap),
                    owner: this_module::<$module>().as_ptr().cast(),
                };
            }
        };
    };
}
pub(crate) use encap_entries;

/// Why an encapsulation is not registered.
pub(crate) enum Unavailable {
    /// Another one has the slot, and nobody wanted to take it over.
    Taken,
    /// The kernel's own seems to have the slot, but the kernel does not tell where that is.
    Unknown,
    /// Something else than the kernel's own has the slot.
    Foreign,
    /// Another reason.
    Error(Error),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("it is taken, and was not to be taken over"),
            Self::Unknown => {
                f.write_str("it is taken, and the kernel does not tell where its table of them is")
            }
            Self::Foreign => f.write_str("it is taken by something else than the kernel's own"),
            Self::Error(error) => write!(f, "error {}", error.to_errno()),
        }
    }
}

/// Keeps an encapsulation registered until it is dropped. The core holds the module while a route
/// uses it.
pub(crate) struct Registration<T: Encap> {
    ops: &'static bindings::lwtunnel_encap_ops,
    /// `None` if the slot was free.
    takeover: Option<Takeover>,
    _encap: PhantomData<fn() -> T>,
}

// SAFETY: The table is never written, and the functions that it names may be called from anywhere.
unsafe impl<T: Encap> Send for Registration<T> {}

// SAFETY: The table is never written, and nothing of the value can be changed.
unsafe impl<T: Encap> Sync for Registration<T> {}

impl<T: Entries> Registration<T> {
    /// Takes the slot `T::TYPE`; if the kernel's own has it, and `takeover` says so, takes it over
    /// from that. Once for a module, of whose `T` all states in the list are then. Process context.
    pub(crate) fn new(takeover: bool) -> Result<Self, Unavailable> {
        let ops = T::OPS;
        states::init().map_err(Unavailable::Error)?;
        // SAFETY: The table is static and complete.
        let takeover = match unsafe { bindings::lwtunnel_encap_add_ops(ops, T::TYPE) } {
            0 => None,
            // The core's own answer, -1, reads as a question of permissions.
            -1 if takeover => {
                // SAFETY: All of its functions look at the bit, and pass on what lacks it.
                Some(unsafe { Takeover::new(ops, T::TYPE, T::PREDECESSOR) }?)
            }
            -1 => return Err(Unavailable::Taken),
            errno => return Err(Unavailable::Error(Error::from_errno(errno))),
        };
        Ok(Self {
            ops,
            takeover,
            _encap: PhantomData,
        })
    }

    /// Whether the slot was the kernel's own, and will be again.
    pub(crate) fn is_takeover(&self) -> bool {
        self.takeover.is_some()
    }
}

impl<T: Encap> Drop for Registration<T> {
    fn drop(&mut self) {
        if self.takeover.is_none() {
            // SAFETY: Registered by `new`. Waits until no packet is inside a callback.
            unsafe { bindings::lwtunnel_encap_del_ops(self.ops, T::TYPE) };
        }
        // Notes that packets have made of routes (`DstNote`) may have callbacks left.
        rcu_barrier();
    }
}
