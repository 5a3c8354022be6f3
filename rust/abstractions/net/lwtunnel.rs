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

/// Who has the packet after a hook. An error from a hook means that the packet was freed.
#[must_use]
pub(crate) enum Verdict {
    /// The route does with it what it would do without an encapsulation.
    Continue(Skb),
    /// It went elsewhere, with this result (0, `NET_RX_*` or an errno).
    Consumed(c_int),
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
    fn build(attr: Attr<'_>, family: Family, extack: &mut ExtAck<'_>) -> Result<Built<Self>>;

    /// A packet is about to be delivered or forwarded. C: `input`.
    fn input(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict>;

    /// A packet is about to be sent, not yet fragmented. C: `output`.
    fn output(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict>;

    /// A packet is about to get its link header. C: `xmit`.
    fn xmit(&self, skb: Skb, dst: Dst<'_>) -> Result<Verdict>;

    /// Writes what [`Self::build`] could read. C: `fill_encap`. Under RCU.
    fn fill(&self, message: &mut Message<'_>) -> Result;

    /// Bytes that [`Self::fill`] writes at most. C: `get_encap_size`. Under RCU.
    fn size(&self) -> usize;

    /// Whether a route with `other` is the same route. C: `cmp_encap`. Under RCU.
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
    /// Called by the core with a request whose attributes it checked.
    unsafe extern "C" fn build_state(
        _net: *mut bindings::net,
        encap: *mut bindings::nlattr,
        family: c_uint,
        _cfg: *const c_void,
        ts: *mut *mut bindings::lwtunnel_state,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The core's, for the time of the call.
            let mut extack = unsafe { ExtAck::from_raw(extack) };
            // SAFETY: The core checked the attribute against its message, which outlives the call.
            let attr = unsafe { Attr::from_raw(encap) }.ok_or(EINVAL)?;
            let built = T::build(attr, Family(family), &mut extack)?;

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
    /// Called by the core when the last reference to a state of ours is gone.
    unsafe extern "C" fn destroy_state(lws: *mut bindings::lwtunnel_state) {
        // SAFETY: `build_state` put it there, and nobody looks at it any more. The core frees the
        // memory.
        unsafe { ptr::drop_in_place(State::<T>::encap(lws)) };
    }

    /// The route of a packet, its tunnel state, and the packet as ours.
    ///
    /// # Safety
    ///
    /// As for the hooks below. The results are not used after the hook returned.
    #[inline(always)]
    unsafe fn enter<'a>(
        skb: *mut bindings::sk_buff,
    ) -> (Dst<'a>, *mut bindings::lwtunnel_state, Skb) {
        // SAFETY: The packet is valid.
        let dst = unsafe { bindings::skb_dst(skb) };
        // SAFETY: The core called us for the state of this route. A program may take the packet
        // off the route, but route and state are freed after a grace period only, and the core
        // called us inside an RCU read side critical section.
        unsafe { (Dst::from_raw(dst), (*dst).lwtstate, Skb::from_raw(skb)) }
    }

    /// The core frees a packet once more if it sees `EOPNOTSUPP`, which for it means that nobody
    /// took the packet. By the time that a hook fails the packet is freed.
    #[inline(always)]
    fn freed(error: Error) -> c_int {
        if error == EOPNOTSUPP {
            EINVAL.to_errno()
        } else {
            error.to_errno()
        }
    }

    /// # Safety
    ///
    /// Called by the core, inside an RCU read side critical section, with a packet that it gives
    /// away and whose route has a state of ours.
    unsafe extern "C" fn input(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (dst, lws, skb) = unsafe { Self::enter(skb) };
        // SAFETY: The state is ours and stays during the call, see `enter`.
        match unsafe { Self::encap(lws) }.input(skb, dst) {
            // SAFETY: The state stays during the call.
            Ok(Verdict::Continue(skb)) => match unsafe { (*lws).orig_input } {
                // SAFETY: The route's own handler, which takes the packet.
                Some(orig) => unsafe { orig(skb.into_raw()) },
                None => EINVAL.to_errno(),
            },
            Ok(Verdict::Consumed(code)) => code,
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
        let (dst, lws, skb) = unsafe { Self::enter(skb) };
        // SAFETY: The state is ours and stays during the call, see `enter`.
        match unsafe { Self::encap(lws) }.output(skb, dst) {
            // SAFETY: The state stays during the call.
            Ok(Verdict::Continue(skb)) => match unsafe { (*lws).orig_output } {
                // SAFETY: The route's own handler, which takes the packet.
                Some(orig) => unsafe { orig(net, sk, skb.into_raw()) },
                None => EINVAL.to_errno(),
            },
            Ok(Verdict::Consumed(code)) => code,
            Err(error) => Self::freed(error),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::input`].
    unsafe extern "C" fn xmit(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (dst, lws, skb) = unsafe { Self::enter(skb) };
        // SAFETY: The state is ours and stays during the call, see `enter`.
        match unsafe { Self::encap(lws) }.xmit(skb, dst) {
            Ok(Verdict::Continue(skb)) => {
                // The caller has the pointer still, and goes on with it.
                skb.into_raw();
                bindings::LWTUNNEL_XMIT_CONTINUE as c_int
            }
            Ok(Verdict::Consumed(code)) => code,
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

// SAFETY: As above.
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
