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
    cold_path,
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
        skbuff::{
            SkBuff,
            Skb, //
        }, //
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
    prelude::*,
    ptr::project, //
};

/// The callbacks by which the core calls `T`.
pub(crate) struct Adapter<T>(PhantomData<T>);

/// The arguments of a hook.
struct HookArgs<'a, T> {
    /// The encapsulation of the packet's route.
    encap: &'a T,
    /// The tunnel state of the packet's route.
    lws: *mut bindings::lwtunnel_state,
    /// A token of the context.
    bh: BhDisabled<'a>,
    /// The route.
    dst: Dst<'a>,
    /// The packet.
    skb: Skb,
    /// A reference to the route, which is held until the hook returns.
    _held: Option<DstRef>,
}

impl<T: Ops> Adapter<T> {
    /// # Safety
    ///
    /// Called by the core when the last reference to a state of `T::TYPE` was dropped. See
    /// [`Self::input`] for which states these are.
    pub(crate) unsafe extern "C" fn destroy_state(lws: *mut bindings::lwtunnel_state) {
        // SAFETY: The state is valid by the safety requirements of this function.
        if !unsafe { is_ours(lws) } {
            // SAFETY: By the safety requirements of this function. The state is a built-in one.
            unsafe { takeover::destroy(T::TYPE, lws, T::OPS.owner) };
            return;
        }
        let state = State::<T>::of(lws);
        let links = project!(mut state, .links);
        // SAFETY: `build_state` initialised the state.
        if unsafe { (*state).purpose } == Purpose::NewRoute {
            // SAFETY: `build_state` initialised the state.
            unsafe { Links::remove(links) };
        }
        // SAFETY: By the safety requirements of this function, nobody else uses the state.
        // `build_state` initialised the part that is dropped here. The core frees the memory.
        unsafe { ptr::drop_in_place(state) };
    }
}

impl<T: Encap> Adapter<T> {
    /// # Safety
    ///
    /// `lws` is a tunnel state that [`Self::build_state`] built, and is valid for `'a`.
    #[inline(always)]
    pub(super) unsafe fn state<'a>(lws: *mut bindings::lwtunnel_state) -> &'a State<T> {
        // SAFETY: `build_state` initialised our part of the tunnel state. That part is only dropped
        // when the tunnel state is destroyed.
        unsafe { &*State::<T>::of(lws) }
    }

    /// Returns our part of a tunnel state, or `None` if it is one of the built-in ops.
    ///
    /// # Safety
    ///
    /// `lws` is a state of `T::TYPE` (see [`Self::input`]), and is valid for `'a`.
    #[inline(always)]
    pub(super) unsafe fn ours<'a>(lws: *mut bindings::lwtunnel_state) -> Option<&'a State<T>> {
        // SAFETY: By the safety requirements of this function.
        if !unsafe { is_ours(lws) } {
            return None;
        }
        // SAFETY: The state is ours, so `build_state` built it.
        Some(unsafe { Self::state(lws) })
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
            // SAFETY: The extack is valid for the time of the call.
            let mut extack = unsafe { ExtAck::from_raw(extack) };
            // SAFETY: By the safety requirements of this function, the core validated the
            // attribute. It is valid for the time of the call.
            let attr = unsafe { Attr::from_raw(encap) };
            // SAFETY: By the safety requirements of this function.
            let purpose = unsafe { Self::purpose(family, cfg) };
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
            // SAFETY: Nobody else can access the state, which was allocated above.
            let head = unsafe { &mut *lws };
            head.type_ = const { T::TYPE as u16 };
            head.flags = flags;
            head.headroom = built.headroom;
            let state = State::<T>::of(lws);
            let (encap, links) = (project!(mut state, .encap), project!(mut state, .links));
            // SAFETY: The state was allocated above with space for a `State<T>`. After a failure
            // the field is not used.
            unsafe { built.encap.__init(encap) }.inspect_err(|_| {
                // SAFETY: The state was allocated above, and nobody else has it.
                unsafe { bindings::kfree(lws.cast()) };
            })?;
            // SAFETY: `net` is valid by the safety requirements of this function.
            let net = unsafe { Inum::of(net) };
            #[expect(
                clippy::multiple_unsafe_ops_per_block,
                reason = "the fields of one allocation"
            )]
            // SAFETY: The state was allocated above with space for a `State<T>`.
            unsafe {
                (&raw mut (*state).purpose).write(purpose);
                (&raw mut (*state).net).write(net);
                (&raw mut (*state).family).write(family);
                links.write(Links::new());
            }
            if purpose == Purpose::NewRoute {
                // SAFETY: The links were initialised above. `Registration::new` initialised the
                // list. `destroy_state` removes the state from it.
                unsafe { Links::add(links) };
            }
            // SAFETY: `ts` is where the core expects the state.
            unsafe { *ts = lws };
            Ok(0)
        })
    }

    /// Prepares a call of a hook. Returns `None` if the tunnel state of the packet's route is one
    /// of the built-in ops.
    ///
    /// # Safety
    ///
    /// As for [`Self::input`]. The results are not used after the hook returned.
    #[inline(always)]
    unsafe fn hook_args<'a>(skb: *mut bindings::sk_buff) -> Option<HookArgs<'a, T>> {
        // SAFETY: The core gave the packet away.
        let packet = unsafe { SkBuff::from_raw_mut(skb) };
        let raw = skb_dst(packet);
        // SAFETY: The packet has a route, which is valid during the hook.
        let lws = unsafe { (*raw).lwtstate };
        // SAFETY: The route has a state of `T::TYPE`, and holds it. The route stays valid by the
        // reference below.
        let Some(state) = (unsafe { Self::ours(lws) }) else {
            cold_path();
            return None;
        };
        // SAFETY: The core called the hook inside an RCU read-side critical section, and the route
        // has a device.
        let dst = unsafe { Dst::from_raw(raw) };
        // A program may drop the route from the packet: `held` is a reference of our own, if the
        // packet has one, and otherwise the read side keeps the route.
        // SAFETY: This is the route of the packet.
        let held = unsafe { dst.hold_for(packet) };
        // SAFETY: Bottom halves are off: `lwtunnel_output()` and `lwtunnel_xmit()` disable them,
        // and packets are received with them disabled.
        let bh = unsafe { BhDisabled::assume() };
        // SAFETY: The core gave the packet away.
        let skb = unsafe { Skb::from_raw(skb) };
        Some(HookArgs {
            encap: &state.encap,
            lws,
            bh,
            dst,
            skb,
            _held: held,
        })
    }

    /// Returns the errno for the core when a hook failed, which has freed its packet.
    #[inline(always)]
    fn freed(error: Error) -> c_int {
        not_eopnotsupp(error.to_errno())
    }

    /// # Safety
    ///
    /// Called by the core, inside an RCU read-side critical section, with a packet whose ownership
    /// it passes on. The route of the packet has a state of `T::TYPE`: one of ours or, if the slot
    /// was taken over, one of the built-in ops.
    #[inline(always)]
    pub(crate) unsafe extern "C" fn input(skb: *mut bindings::sk_buff) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let Some(args) = (unsafe { Self::hook_args(skb) }) else {
            // SAFETY: By the safety requirements of this function. The state is a built-in one.
            return unsafe { takeover::input(T::TYPE, skb) };
        };
        match args.encap.input(&args.bh, args.skb, args.dst) {
            Ok(Verdict::Continue(skb)) => {
                // The core writes the handler again, with the same value, for each route that
                // shares the state.
                let orig = project!(mut args.lws, .orig_input);
                // SAFETY: The state stays valid during the call, see `hook_args`.
                match unsafe { orig.read_volatile() } {
                    // SAFETY: The route's own handler, which takes ownership of the packet.
                    Some(orig) => Received::new(unsafe { orig(skb.into_raw()) }).0,
                    None => EINVAL.to_errno(),
                }
            }
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
        let Some(args) = (unsafe { Self::hook_args(skb) }) else {
            // SAFETY: By the safety requirements of this function. The state is a built-in one.
            return unsafe { takeover::output(T::TYPE, net, sk, skb) };
        };
        match args.encap.output(&args.bh, args.skb, args.dst) {
            Ok(Verdict::Continue(skb)) => {
                let orig = project!(mut args.lws, .orig_output);
                // SAFETY: The state stays valid during the call, see `hook_args`.
                match unsafe { orig.read_volatile() } {
                    // The sender gets the handler's return value, which may be `NET_XMIT_*`.
                    // SAFETY: The route's own handler, which takes ownership of the packet.
                    Some(orig) => not_eopnotsupp(unsafe { orig(net, sk, skb.into_raw()) }),
                    None => EINVAL.to_errno(),
                }
            }
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
        let Some(args) = (unsafe { Self::hook_args(skb) }) else {
            // SAFETY: By the safety requirements of this function. The state is a built-in one.
            return unsafe { takeover::xmit(T::TYPE, skb) };
        };
        args.encap.xmit(&args.bh, args.skb, args.dst).0
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
        let Some(state) = (unsafe { Self::ours(lws) }) else {
            // SAFETY: By the safety requirements of this function. The state is a built-in one.
            return unsafe { takeover::fill_encap(T::TYPE, skb, lws) };
        };
        from_result(|| {
            // SAFETY: The state is valid by the safety requirements of this function.
            let headroom = unsafe { (*lws).headroom };
            // SAFETY: By the safety requirements of this function.
            let mut message = unsafe { Message::from_raw(skb) };
            state.encap.fill(headroom, &mut message).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// Called by the core under RCU, with a state of `T::TYPE` (see [`Self::input`]).
    pub(crate) unsafe extern "C" fn get_encap_size(lws: *mut bindings::lwtunnel_state) -> c_int {
        // SAFETY: By the safety requirements of this function.
        let Some(state) = (unsafe { Self::ours(lws) }) else {
            // SAFETY: By the safety requirements of this function. The state is a built-in one.
            return unsafe { takeover::get_encap_size(T::TYPE, lws) };
        };
        c_int::try_from(state.encap.size()).unwrap_or(c_int::MAX)
    }
}
