//! The checker, proven: servers that treat one message in 500 wrongly are found out, and an honest one is not.
//!
//! The servers are of Node and speak to the same stock clients. A run goes on until enough messages were acknowledged for
//! several to be treated wrongly, however slow the machine is.

use std::error::Error;
use std::process::{Command, Output};

fn chaos(flaw: &str, faults: &str) -> Result<Output, Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakh-chaos"));
    command.args(["--server", "node", "--flaw", flaw, "--faults", faults]);
    command.args(["--seconds", "4", "--messages", "1600", "--rate", "500"]);
    command.args(["--clients", "24", "--rooms", "3", "--workers", "1"]);
    Ok(command.output()?)
}

/// The checker ends with 1 and names what is wrong.
fn is_found(flaw: &str, kind: &str) -> Result<(), Box<dyn Error>> {
    let output = chaos(flaw, "reset")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}{error}");
    assert!(text.contains(&format!("VIOLATION {kind}: ")), "{text}");
    // In words as well: who, and around which numbers.
    assert!(text.contains(&format!("\n{kind}: ")), "{text}");
    Ok(())
}

#[test]
fn a_server_that_drops_is_found_out() -> Result<(), Box<dyn Error>> {
    is_found("drop", "gap")
}

#[test]
fn a_server_that_doubles_is_found_out() -> Result<(), Box<dyn Error>> {
    is_found("double", "double")
}

#[test]
fn a_server_that_swaps_for_one_receiver_is_found_out() -> Result<(), Box<dyn Error>> {
    is_found("swap", "reordering")
}

#[test]
fn a_server_that_swaps_for_all_is_found_out() -> Result<(), Box<dyn Error>> {
    is_found("late", "writer's order")
}

#[test]
fn an_honest_server_passes() -> Result<(), Box<dyn Error>> {
    // No connection is reset here: under load Node's own server then loses or doubles a message now and then (11 of 24 runs at
    // a load of 8; of Lakh's none), most often for a client that has just gone over to a WebSocket, and is found out as well.
    let output = chaos("none", "none")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{error}");
    assert!(text.contains("no gap, no double, no reordering"), "{text}");
    Ok(())
}
