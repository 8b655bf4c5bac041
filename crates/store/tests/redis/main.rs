//! The backend in Redis, against real servers: the contract, two nodes on one server, and what goes wrong on the way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod amended;
mod away;
mod fleet;
mod nodes;
mod proxy;
mod server;
mod settings;
mod tls;

use lakh_store::{RedisOptions, contract};

use crate::server::Server;

#[test]
fn the_redis_backend_keeps_the_contract() {
    let server = Server::new();
    contract::run(|| (server.fresh_store(&server::patient()), ()));
}

#[test]
fn the_redis_backend_keeps_the_contract_with_one_reader_and_small_groups_and_an_append_only_file() {
    let server = Server::durable();
    contract::run(|| {
        let options = RedisOptions {
            readers: 1,
            group: 2,
            ..server::patient()
        };
        (server.fresh_store(&options), ())
    });
}
