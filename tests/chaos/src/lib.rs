//! Breaks nodes, Redis and connections under stock clients, and compares what each of them saw.
//!
//! Writers number the messages of each room and remember which were acknowledged. Hundreds of stock clients write down
//! what they see, and whether a server told them `recovered`. Meanwhile connections are cut, processes are killed,
//! stopped and restarted, and Redis goes away and comes back. At the end each client must have seen each acknowledged
//! message of its rooms once and in the order in which all others saw it, or have been told that it's new.
//!
//! The checker is proven by servers that drop, double or swap one message in 500 (`tests/proof.rs`).

pub mod breaker;
pub mod client;
pub mod compare;
pub mod crew;
pub mod options;
pub mod order;
pub mod plan;
pub mod processes;
pub mod proxy;
pub mod records;
pub mod report;
pub mod run;
pub mod schedule;
pub mod site;
mod stretches;
pub mod worker;
