// SPDX-License-Identifier: GPL-2.0-only

//! Filters can only be changed through a `Writer` of their own tcf_proto.

use crate::abstractions::net::pkt_cls::{
    Change,
    FilterRef,
    Handle,
    NewFilter,
    TcfProto,
    Writer, //
};
use crate::cls::BpfClassifier;
use core::ptr;

type Filter<'a> = FilterRef<'a, BpfClassifier>;

fn no_writer(tp: TcfProto<'_, BpfClassifier>, filter: &Filter<'_>) {
    tp.filters().remove(filter); //~ E0599
}

fn another_writer<'a>(
    one: &Writer<'_, 'a, BpfClassifier>,
    other: &Writer<'_, 'a, BpfClassifier>,
    entry: NewFilter<'a, BpfClassifier>,
) {
    if let Ok(reservation) = one.reserve(Handle::Auto) {
        let _ = reservation.publish(other, entry); //~ E0061
    }
}

fn beyond_the_writer<'a>(change: &Change<'a, BpfClassifier>, entry: NewFilter<'a, BpfClassifier>) {
    let reservation = {
        let writer = change.writer(&entry, false);
        writer.reserve(Handle::Auto) //~ E0597
    };
    if let Ok(reservation) = reservation {
        let _ = reservation.publish(entry);
    }
}

fn made_up<'a>(tp: TcfProto<'a, BpfClassifier>) -> TcfProto<'a, BpfClassifier> {
    unsafe { TcfProto::new(ptr::null_mut(), tp.filters()) } //~ E0624 unsafe_code
}

fn bind(writer: &Writer<'_, '_, BpfClassifier>, filter: &Filter<'_>) {
    writer.bind(filter, 0); //~ E0624
}

fn unbind(writer: &Writer<'_, '_, BpfClassifier>, filter: &Filter<'_>) {
    if let Some(rtnl) = writer.rtnl() {
        filter.class().unbind(rtnl, writer.tp()); //~ E0624
    }
}
