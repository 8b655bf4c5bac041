//! Who may import whom. The table is that of ARCHITECTURE.md; it is held against what cargo says of the workspace.
//!
//! Dependencies of tests, and packages that measure or test the whole from outside (bench/, tests/), are not looked at,
//! but for one thing: nothing at all imports the server.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::process::Command;

use serde_json::Value;

/// What a crate of the workspace may import of the workspace. Every crate stands here: a new one has to say first where
/// it belongs.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("lakh-wire", &[]),
    ("lakh-broker", &[]),
    ("lakh-store", &[]),
    ("lakh-auth", &[]),
    ("lakh-testkit", &[]),
    (
        "lakh-hub",
        &["lakh-wire", "lakh-broker", "lakh-store", "lakh-auth"],
    ),
    ("lakh-net", &["lakh-wire", "lakh-hub"]),
    ("lakh-bridge", &["lakh-hub"]),
    ("lakh", &["lakh-hub", "lakh-net"]),
    ("lakh-files", &[]),
    ("lakh-rooms", MODULE),
    ("lakh-chat", &["lakh-hub", "lakh-store", "lakh-files"]),
    ("lakh-world", MODULE),
    ("lakh-server", EVERYTHING),
];
/// A module is a small program on the hub's public API, and never imports another module.
const MODULE: &[&str] = &["lakh-hub", "lakh-store"];
/// The server puts everything together.
const EVERYTHING: &[&str] = &[
    "lakh-wire",
    "lakh-broker",
    "lakh-store",
    "lakh-auth",
    "lakh-hub",
    "lakh-net",
    "lakh-bridge",
    "lakh-files",
    "lakh",
    "lakh-rooms",
    "lakh-chat",
    "lakh-world",
    "lakh-load",
];

/// What the protocol's crate may never name: a runtime, a socket or a source of randomness.
const NOT_IN_WIRE: [&str; 8] = [
    "tokio",
    "mio",
    "async-std",
    "smol",
    "socket2",
    "rand",
    "getrandom",
    "fastrand",
];

/// The arithmetic of keys and passwords. Only the server needs it; a server of somebody's own, built on the library, is
/// built without.
const NOT_IN_THE_LIBRARY: [&str; 7] = [
    "argon2",
    "ed25519-dalek",
    "jsonwebtoken",
    "openidconnect",
    "p256",
    "p384",
    "rsa",
];

fn workspace() -> Result<Vec<Value>, Box<dyn Error>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    Ok(packages.clone())
}

/// Pairs of a dependency's name and its kind: `normal`, `build` or `dev`.
fn dependencies(package: &Value) -> Vec<(&str, &str)> {
    let list = package["dependencies"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    list.iter()
        .filter_map(|dependency| {
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            Some((dependency["name"].as_str()?, kind))
        })
        .collect()
}

/// Whether a package stands outside the house and looks at it.
fn is_outside(package: &Value) -> bool {
    let manifest = package["manifest_path"].as_str().unwrap_or_default();
    ["/bench/", "/tests/", "/fuzz/"].iter().any(|folder| {
        manifest
            .strip_prefix(&root())
            .is_some_and(|path| path.starts_with(folder))
    })
}

fn root() -> String {
    let crates = env!("CARGO_MANIFEST_DIR").trim_end_matches("/crates/testkit");
    crates.to_owned()
}

fn imports_server(package: &Value) -> Option<String> {
    let found = dependencies(package)
        .into_iter()
        .any(|(name, _)| name == "lakh-server");
    found.then(|| format!("{} may not import lakh-server", package["name"]))
}

#[test]
fn each_crate_imports_only_what_it_may() -> Result<(), Box<dyn Error>> {
    let packages = workspace()?;
    let table: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        if is_outside(package) {
            wrong.extend(imports_server(package));
            continue;
        }
        let Some(allowed) = table.get(name) else {
            wrong.push(format!(
                "{name} is not in the table: say what it may import"
            ));
            continue;
        };
        for (dependency, kind) in dependencies(package) {
            let ours = packages.iter().any(|other| other["name"] == dependency);
            if ours && kind != "dev" && !allowed.contains(&dependency) {
                wrong.push(format!("{name} may not import {dependency} ({kind})"));
            }
        }
        wrong.extend(imports_server(package));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        packages.len() >= 9,
        "cargo told of {} packages only",
        packages.len()
    );
    Ok(())
}

#[test]
fn the_protocol_names_no_runtime_socket_or_random_source() -> Result<(), Box<dyn Error>> {
    let packages = workspace()?;
    let wire = packages
        .iter()
        .find(|package| package["name"] == "lakh-wire");
    let wire = wire.ok_or("there is no lakh-wire")?;
    for (dependency, kind) in dependencies(wire) {
        assert!(
            kind == "dev" || !NOT_IN_WIRE.contains(&dependency),
            "lakh-wire may not import {dependency}"
        );
    }
    Ok(())
}

/// Every crate that this package is built with, whatever the rest of the workspace asks for.
fn built_with(package: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{lib}", "--offline", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let names = String::from_utf8(output.stdout)?;
    // What was told before is marked with a star behind the name.
    let first = |line: &str| line.split(' ').next().unwrap_or_default().replace('_', "-");
    Ok(names.lines().map(first).collect())
}

#[test]
fn the_library_brings_no_arithmetic_of_keys_and_passwords() -> Result<(), Box<dyn Error>> {
    for package in ["lakh", "lakh-hub", "lakh-net", "lakh-rooms", "lakh-chat"] {
        let crates = built_with(package)?;
        assert!(crates.iter().any(|name| name == "lakh-auth"), "{package}");
        for name in NOT_IN_THE_LIBRARY {
            assert!(
                !crates.iter().any(|other| other == name),
                "{package} brings {name}: `cargo tree -p {package} -e normal -i {name}` tells the way"
            );
        }
    }
    // What is looked for is written as cargo writes it.
    let server = built_with("lakh-server")?;
    for name in NOT_IN_THE_LIBRARY {
        assert!(server.iter().any(|other| other == name), "{name}");
    }
    Ok(())
}
