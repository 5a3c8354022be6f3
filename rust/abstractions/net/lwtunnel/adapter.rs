// SPDX-License-Identifier: GPL-2.0-only

//! The callbacks of `struct lwtunnel_encap_ops`, which call an [`Encap`].

use super::{
    entries::Ops,
    links::Links,
    state::{
        is_ours,
        State, //
    },
    takeover::{
        self,
        OURS, //
    },
    verdict::{
        not_eopnotsupp,
        Received,
        Sent,
        Verdict, //
    },
    Encap,
    Family,
    Purpose, //
};
use crate::abstractions::{
    bindings,
    compat::EAFNOSUPPORT,
    net::{
        dst::{
            skb_dst,
            Dst,
            DstRef, //
        },
        namespace::Inum,
        netlink::{
            Attr,
            ExtAck,
            Message, //
        },
        skbuff::Skb, //
    },
    sync::bottom_half::BhDisabled, //
};
use core::{
    marker::PhantomData,
    mem::size_of,
    ptr, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

/// The callbacks by which the core calls `T`.
pub(crate) struct Adapter<T>(PhantomData<T>);

impl<T: Ops> Adapter<T> {
    /// # Safety
    ///
    /// Called by the core when the last reference to a state of `T::TYPE` was dropped. See
    /// [`Self::input`] for which states these are.
    pub(crate) unsafe extern "C" fn destroy_state(lws: *mut bindings::lwtunnel_state) {
        // SAFETY: By the safety requirements of this function, nobody else uses the state.
        // `build_state` initialised the part of our states that is dropped here. The core frees the
        // memory.
        unsafe {
            if is_ours(lws) {
                let state = State::<T>::of(lws);
                if (*state).purpose == Purpose::NewRoute {
                    Links::remove(&raw mut (*state).links);
                }
                ptr::drop_in_place(state);
            } else {
                takeover::destroy(T::TYPE, lws, T::OPS.owner);
            }
        }
    }
}

impl<T: Encap> Adapter<T> {
    /// # Safety
    ///
    /// `lws` is a tunnel state that [`Self::build_state`] built, and is valid for `'a`.
    #[inline(always)]
    pub(super) unsafe fn state<'a>(lws: *mut bindings::lwtunnel_state) -> &'a State<T> {
        // SAFETY: `build_state` initialised it. It is only dropped when the tunnel state is
        // destroyed.
        unsafe { &*State::<T>::of(lws) }
    }

    /// # Safety
    ///
    /// Called by the core with a request for `net` whose attributes it validated. `cfg` is null or
    /// the parsed request for a route of that family: for IPv4 a `fib_config`.
    pub(crate) unsafe extern "C" fn build_state(
        net: *mut bindings::net,
        encap: *mut bindings::nlattr,
        family: c_uint,
        cfg: *const c_void,
        ts: *mut *mut bindings::lwtunnel_state,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By the safety requirements of this function. All pointers are valid for the
            // time of the call.
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
            // SAFETY: `lws` was allocated above with space for a `State<T>`. Nobody else can access
            // it before it is in the list, which `Registration::new` initialised. If `encap` fails
            // to initialise, no other field of the `State<T>` is initialised yet, and the memory is
            // ours to free. `ts` is where the core expects the state.
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
                if purpose == Purpose::NewRoute {
                    Links::add(&raw mut (*state).links);
                }
                *ts = lws;
            }
            Ok(0)
        })
    }

    /// Returns whether the tunnel state of a packet's route is ours.
    ///
    /// # Safety
    ///
    /// As for [`Self::input`].
    #[inline(always)]
    unsafe fn state_is_ours(skb: *mut bindings::sk_buff) -> bool {
        // SAFETY: The packet is valid, and has a route with a tunnel state.
        unsafe { is_ours((*skb_dst(skb)).lwtstate) }
    }

    /// Prepares a call of a hook.
    ///
    /// Returns the encapsulation and the tunnel state of the packet's route, a token of the
    /// context, the route, the packet as a value that owns it, and a reference that is held until
    /// the hook returns.
    ///
    /// # Safety
    ///
    /// As for [`Self::input`], and the state is ours. The results are not used after the hook
    /// returned.
    #[inline(always)]
    unsafe fn hook_args<'a>(
        skb: *mut bindings::sk_buff,
    ) -> (
        &'a T,
        *mut bindings::lwtunnel_state,
        BhDisabled<'a>,
        Dst<'a>,
        Skb,
        Option<DstRef>,
    ) {
        // A program may drop the route from the packet: `held` is a reference of our own, if the
        // packet has one, and otherwise the read side keeps the route.
        // SAFETY: The core called us inside an RCU read side, with a valid packet whose route holds
        // the state; the route stays valid by the above. Bottom halves are off: `lwtunnel_output()`
        // and `lwtunnel_xmit()` disable them, and packets are received with them disabled.
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

    /// Returns the errno for the core when a hook failed, which has freed its packet.
    #[inline(always)]
    fn freed(error: Error) -> c_int {
        not_eopnotsupp(error.to_errno())
    }

    /// # Safety
    ///
    /// Called by the core, inside an RCU read-side critical section, with a packet that it gives
    /// away. The route of the packet has a state of `T::TYPE`: one of ours or, if the slot was
    /// taken over, one of the built-in ops.
    #[inline(always)]
    pub(crate) unsafe extern "C" fn input(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, lws, bh, dst, skb, _held) = unsafe {
            if !Self::state_is_ours(skb) {
                return takeover::input(T::TYPE, skb);
            }
            Self::hook_args(skb)
        };
        match encap.input(&bh, skb, dst) {
            // SAFETY: The state stays valid during the call, see `hook_args`.
            Ok(Verdict::Continue(skb)) => match unsafe { (*lws).orig_input } {
                // SAFETY: The route's own handler, which takes ownership of the packet.
                Some(orig) => Received::new(unsafe { orig(skb.into_raw()) }).0,
                None => EINVAL.to_errno(),
            },
            Ok(Verdict::Consumed(Received(code))) => code,
            Err(error) => Self::freed(error),
        }
    }

    /// # Safety
    ///
    /// As for [`Self::input`]. `net` and `sk` are arguments of the route's own handler.
    #[inline(always)]
    pub(crate) unsafe extern "C" fn output(
        net: *mut bindings::net,
        sk: *mut bindings::sock,
        skb: *mut bindings::sk_buff,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let (encap, lws, bh, dst, skb, _held) = unsafe {
            if !Self::state_is_ours(skb) {
                return takeover::output(T::TYPE, net, sk, skb);
            }
            Self::hook_args(skb)
        };
        match encap.output(&bh, skb, dst) {
            // SAFETY: The state stays valid during the call, see `hook_args`.
            Ok(Verdict::Continue(skb)) => match unsafe { (*lws).orig_output } {
                // The sender gets the handler's return value, which may be `NET_XMIT_*`.
                // SAFETY: The route's own handler, which takes ownership of the packet.
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
            if !Self::state_is_ours(skb) {
                return takeover::xmit(T::TYPE, skb);
            }
            Self::hook_args(skb)
        };
        encap.xmit(&bh, skb, dst).0
    }

    /// # Safety
    ///
    /// Called by the core under RCU, with a state of `T::TYPE` (see [`Self::input`]) and a netlink
    /// message that is being built.
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
    /// Called by the core under RCU, with a state of `T::TYPE` (see [`Self::input`]).
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
}
