//! Sockets as nodes tell each other of them, in the shape of Node's `RemoteSocket`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lakh_broker::cluster::{self, Form};
use lakh_wire::Limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::data;
use crate::handshake::Handshake;
use crate::namespace::Namespace;
use crate::operator::RemoteSocket;

/// Node's `Handshake`, as far as others can use it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    headers: BTreeMap<&'a str, &'a str>,
    time: String,
    address: String,
    xdomain: bool,
    secure: bool,
    issued: u64,
    url: String,
    query: BTreeMap<String, String>,
    auth: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Read {
    headers: BTreeMap<String, Value>,
    address: String,
    secure: bool,
    issued: f64,
    url: String,
    auth: Option<Value>,
}

/// A socket of this node, for another one.
pub(super) fn write(socket: &RemoteSocket, form: Form) -> cluster::RemoteSocket {
    let handshake = &socket.handshake;
    // What carries a sign-in is kept for this node alone.
    let headers = handshake
        .headers
        .iter()
        .filter(|(name, _)| !matches!(&**name, "authorization" | "cookie"));
    let auth = socket.auth.as_deref();
    let auth = auth.and_then(|auth| serde_json::from_str::<&RawValue>(auth).ok());
    let written = Written {
        headers: headers.map(|(name, value)| (&**name, &**value)).collect(),
        time: httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(handshake.time_ms)),
        address: handshake.address.ip().to_string(),
        xdomain: handshake.header("origin").is_some(),
        secure: handshake.secure,
        issued: handshake.time_ms,
        url: format!("/socket.io/?{}", handshake.query),
        query: handshake.query_params().collect(),
        auth: auth.unwrap_or(RawValue::NULL),
    };
    // Text and numbers only: this can't fail.
    let handshake = serde_json::to_string(&written).unwrap_or_else(|_| "{}".to_owned());
    cluster::RemoteSocket {
        id: socket.id.clone(),
        handshake: data::encode(&handshake, &[], form),
        rooms: socket.rooms.clone(),
        data: data::encode(&socket.data.to_string(), &[], form),
    }
}

/// A socket of another node. What can't be read of it is left out; it is there all the same.
pub(super) fn read(
    namespace: &Namespace,
    socket: cluster::RemoteSocket,
    limits: &Limits,
) -> RemoteSocket {
    let text = |data| data::decode(data, limits).map(|(text, _)| text);
    let value = text(socket.data).and_then(|text| serde_json::from_str(&text).ok());
    let said = text(socket.handshake).and_then(|text| serde_json::from_str(&text).ok());
    let said: Read = said.unwrap_or_default();
    RemoteSocket {
        namespace: namespace.clone(),
        id: socket.id,
        rooms: socket.rooms,
        data: value.unwrap_or_default(),
        auth: said.auth.as_ref().map(|auth| auth.to_string().into()),
        handshake: Arc::new(handshake(&said)),
    }
}

fn handshake(said: &Read) -> Handshake {
    let address = said.address.parse::<IpAddr>();
    let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| {
        address.to_canonical()
    });
    let query = said.url.split_once('?').map_or("", |(_, query)| query);
    let headers = said.headers.iter().filter_map(|(name, value)| {
        let value = value.as_str()?;
        Some((name.as_str().into(), value.into()))
    });
    Handshake {
        // Node does not tell the port.
        address: SocketAddr::new(address, 0),
        secure: said.secure,
        time_ms: said.issued.max(0.0) as u64,
        query: query.into(),
        headers: headers.collect(),
    }
}
