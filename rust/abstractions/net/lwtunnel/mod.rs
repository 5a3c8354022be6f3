// SPDX-License-Identifier: GPL-2.0-only

//! Lightweight tunnels: what a route does to packets besides forwarding them.
//!
//! Implement [`Encap`], and hold a [`Registration`] of it.
//!
//! C header: [`include/net/lwtunnel.h`](srctree/include/net/lwtunnel.h)

use super::{
    dst::Dst,
    netlink::{
        Attr,
        ExtAck,
        Message, //
    },
    skbuff::Skb, //
};
use crate::abstractions::bindings;
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
    error::from_result,
    prelude::*,
    ModuleMetadata, //
};

/// The address family of the route that is configured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Family(pub(crate) u32);

impl Family {
    /// IPv4.
    pub(crate) const INET: Self = Self(bindings::AF_INET);
    /// IPv6.
    pub(crate) const INET6: Self = Self(bindings::AF_INET6);
}

/// What the core makes of a configured encapsulation.
pub(crate) struct Built<T> {
    /// The encapsulation.
    pub(crate) encap: T,
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
        // SAFETY: An FFI call with no requirements.
        // INVARIANT: The callee returns 0 or -ENOBUFS.
        Self(unsafe { bindings::net_xmit_errno(code) })
    }
}

#[cfg(lwtcls_kunit)]
impl From<Received> for c_int {
    fn from(received: Received) -> Self {
        received.0
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
    if code == EOPNOTSUPP.to_errno() {
        EINVAL.to_errno()
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

/// An encapsulation. C: `struct lwtunnel_encap_ops`.
///
/// A value of the type lives in the tunnel state of each route that has it configured. The hooks
/// run in softirq or process context, inside an RCU read side critical section.
#[vtable]
pub(crate) trait Encap: Sized + Send + Sync {
    /// Which slot of the kernel's table it takes (`LWTUNNEL_ENCAP_*`).
    const TYPE: u32;

    /// Makes a value from a request. C: `build_state`. Process context, but it may not sleep.
    fn build(
        attr: Attr<'_>,
        family: Family,
        purpose: Purpose,
        extack: &mut ExtAck<'_>,
    ) -> Result<Built<Self>>;

    /// A packet is about to be delivered or forwarded. C: `input`.
    fn input(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Received>>;

    /// A packet is about to be sent, not yet fragmented. C: `output`.
    fn output(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Sent>>;

    /// A packet is about to get its MAC header. C: `xmit`.
    fn xmit(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict<Sent>>;

    /// Writes what [`Self::build`] could read. C: `fill_encap`. Under RCU.
    fn fill(&self, message: &mut Message<'_>) -> Result;

    /// Bytes that [`Self::fill`] writes at most. C: `get_encap_size`. Under RCU.
    fn size(&self) -> usize;

    /// Whether a route with `other` is the same route, see [`Purpose`]. C: `cmp_encap`. Under RCU.
    fn same(&self, other: &Self) -> bool;
}

/// The tunnel state, and where in it the encapsulation lies.
struct State<T>(PhantomData<T>);

impl<T> State<T> {
    /// The one place that knows the layout: `T` lies at `data`.
    const OFFSET: usize = {
        let offset = offset_of!(bindings::lwtunnel_state, data);
        assert!(offset % align_of::<T>() == 0);
        assert!(align_of::<T>() <= align_of::<bindings::lwtunnel_state>());
        offset
    };

    fn encap(lws: *mut bindings::lwtunnel_state) -> *mut T {
        lws.wrapping_byte_add(Self::OFFSET).cast()
    }
}

/// The callbacks by which the core reaches `T`.
struct Adapter<T>(PhantomData<T>);

impl<T: Encap> Adapter<T> {
    /// # Safety
    ///
    /// `lws` is a tunnel state that [`Self::build_state`] made, alive for `'a`.
    #[inline(always)]
    unsafe fn encap<'a>(lws: *mut bindings::lwtunnel_state) -> &'a T {
        // SAFETY: `build_state` put a `T` there; it is only destroyed with the state.
        unsafe { &*State::<T>::encap(lws) }
    }

    /// # Safety
    ///
    /// Called by the core with a request whose attributes it checked. `cfg` is null, or what the
    /// request for a route of that family was parsed into: for IPv4 a `fib_config`.
    unsafe extern "C" fn build_state(
        _net: *mut bindings::net,
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
            let built = T::build(attr, Family(family), purpose, &mut extack)?;

            // SAFETY: An FFI call with no requirements.
            let lws = unsafe { bindings::lwtunnel_state_alloc(const { size_of::<T>() as c_int }) };
            if lws.is_null() {
                return Err(ENOMEM);
            }
            let mut flags = 0;
            if built.input {
                flags |= bindings::LWTUNNEL_STATE_INPUT_REDIRECT;
            }
            if built.output {
                flags |= bindings::LWTUNNEL_STATE_OUTPUT_REDIRECT;
            }
            if built.xmit {
                flags |= bindings::LWTUNNEL_STATE_XMIT_REDIRECT;
            }
            // SAFETY: Allocated just now with room for a `T`, and nobody else has seen it. `ts` is
            // where the core wants it.
            unsafe {
                (*lws).type_ = const { T::TYPE as u16 };
                (*lws).flags = flags;
                (*lws).headroom = built.headroom;
                State::<T>::encap(lws).write(built.encap);
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

    /// # Safety
    ///
    /// Called by the core when the last reference to a state of ours is gone.
    unsafe extern "C" fn destroy_state(lws: *mut bindings::lwtunnel_state) {
        // SAFETY: `build_state` put it there, and nobody looks at it any more. The core frees the
        // memory.
        unsafe { ptr::drop_in_place(State::<T>::encap(lws)) };
    }

    /// The encapsulation of a packet's route, its tunnel state, the route, and the packet as ours.
    ///
    /// # Safety
    ///
    /// As for the hooks below. The results are not used after the hook returned.
    #[inline(always)]
    unsafe fn enter<'a>(
        skb: *mut bindings::sk_buff,
    ) -> (&'a T, *mut bindings::lwtunnel_state, Dst<'a>, Skb) {
        // SAFETY: The packet is valid, and the core called us for the state of its route, which is
        // ours. A program may take the packet off the route, but route and state are freed after a
        // grace period only, and the core called us inside an RCU read side critical section.
        unsafe {
            let dst = bindings::skb_dst(skb);
            let lws = (*dst).lwtstate;
            (
                Self::encap(lws),
                lws,
                Dst::from_raw(dst),
                Skb::from_raw(skb),
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
    /// away and whose route has a state of ours.
    unsafe extern "C" fn input(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, lws, dst, skb) = unsafe { Self::enter(skb) };
        match encap.input(skb, dst) {
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
    unsafe extern "C" fn output(
        net: *mut bindings::net,
        sk: *mut bindings::sock,
        skb: *mut bindings::sk_buff,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, lws, dst, skb) = unsafe { Self::enter(skb) };
        match encap.output(skb, dst) {
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
    unsafe extern "C" fn xmit(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, _, dst, skb) = unsafe { Self::enter(skb) };
        match encap.xmit(skb, dst) {
            Ok(Verdict::Continue(skb)) => {
                // The caller has the pointer still, and goes on with it.
                skb.into_raw();
                bindings::LWTUNNEL_XMIT_CONTINUE as c_int
            }
            Ok(Verdict::Consumed(Sent(code))) => code,
            Err(error) => Self::freed(error),
        }
    }

    /// # Safety
    ///
    /// Called by the core under RCU with a state of ours, and a message in the making.
    unsafe extern "C" fn fill_encap(
        skb: *mut bindings::sk_buff,
        lws: *mut bindings::lwtunnel_state,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By the safety requirements of this function.
            let (encap, mut message) = unsafe { (Self::encap(lws), Message::from_raw(skb)) };
            encap.fill(&mut message).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the core under RCU with a state of ours.
    unsafe extern "C" fn get_encap_size(lws: *mut bindings::lwtunnel_state) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let size = unsafe { Self::encap(lws) }.size();
        c_int::try_from(size).unwrap_or(c_int::MAX)
    }

    /// # Safety
    ///
    /// Called by the core under RCU with two states of ours.
    unsafe extern "C" fn cmp_encap(
        a: *mut bindings::lwtunnel_state,
        b: *mut bindings::lwtunnel_state,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (a, b) = unsafe { (Self::encap(a), Self::encap(b)) };
        (!a.same(b)).into()
    }
}

/// The table of `T` in the module `M`.
struct Ops<T, M>(PhantomData<(T, M)>);

impl<T: Encap, M: ModuleMetadata> Ops<T, M> {
    const OPS: bindings::lwtunnel_encap_ops = bindings::lwtunnel_encap_ops {
        build_state: Some(Adapter::<T>::build_state),
        destroy_state: Some(Adapter::<T>::destroy_state),
        output: Some(Adapter::<T>::output),
        input: Some(Adapter::<T>::input),
        fill_encap: Some(Adapter::<T>::fill_encap),
        get_encap_size: Some(Adapter::<T>::get_encap_size),
        cmp_encap: Some(Adapter::<T>::cmp_encap),
        xmit: Some(Adapter::<T>::xmit),
        owner: M::THIS_MODULE.as_ptr().cast(),
    };
}

/// Keeps an encapsulation registered until it is dropped. The core holds the module while a route
/// uses it.
pub(crate) struct Registration<T: Encap> {
    ops: &'static bindings::lwtunnel_encap_ops,
    _encap: PhantomData<fn() -> T>,
}

// SAFETY: The table is never written, and the functions that it names may be called from anywhere.
unsafe impl<T: Encap> Send for Registration<T> {}

// SAFETY: The table is never written, and nothing of the value can be changed.
unsafe impl<T: Encap> Sync for Registration<T> {}

impl<T: Encap> Registration<T> {
    /// Takes the slot `T::TYPE` for the module `M`. `EEXIST` if another encapsulation has it.
    pub(crate) fn new<M: ModuleMetadata>() -> Result<Self> {
        let ops = &Ops::<T, M>::OPS;
        // SAFETY: The table is static and complete.
        match unsafe { bindings::lwtunnel_encap_add_ops(ops, T::TYPE) } {
            0 => Ok(Self {
                ops,
                _encap: PhantomData,
            }),
            // The core's own answer, -1, reads as a question of permissions.
            -1 => Err(EEXIST),
            errno => Err(Error::from_errno(errno)),
        }
    }
}

impl<T: Encap> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`. Waits until no packet is inside a callback.
        unsafe { bindings::lwtunnel_encap_del_ops(self.ops, T::TYPE) };
    }
}
