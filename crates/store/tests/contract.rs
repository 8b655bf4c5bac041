//! Every backend keeps the contract.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lakh_store::{SqliteOptions, Store, Synchronous, contract};

fn sqlite(options: &SqliteOptions) {
    contract::run(|| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path().join("lakh.db"), options).unwrap();
        (store, folder)
    });
}

#[test]
fn the_memory_backend_keeps_the_contract() {
    contract::run(|| (Store::memory(), ()));
}

#[test]
fn the_sqlite_backend_keeps_the_contract() {
    sqlite(&SqliteOptions::default());
}

#[test]
fn the_sqlite_backend_keeps_the_contract_with_one_reader_and_small_groups() {
    let options = SqliteOptions {
        readers: 1,
        group: 2,
        synchronous: Synchronous::Normal,
        ..SqliteOptions::default()
    };
    sqlite(&options);
}
