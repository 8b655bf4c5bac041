//! The binary as a person or a script meets it before it serves: exit codes and messages.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{SECRET, lakh, output};
use tempfile::TempDir;

#[test]
fn a_start_without_settings_says_that_it_is_development() {
    let folder = TempDir::new().unwrap();
    let output = lakh(folder.path(), &["check-config"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("development"), "{text}");
    assert!(text.contains("no lakh.toml here"), "{text}");
}

#[test]
fn bound_to_others_without_sign_in_it_refuses_to_start() {
    let folder = TempDir::new().unwrap();
    for command in ["serve", "check-config"] {
        let (code, _, err) = output(folder.path(), &[command, "--bind", "0.0.0.0:0"]);
        assert_eq!(code, 2, "{err}");
        assert!(
            err.contains("--open") && err.contains("--auth-secret"),
            "{err}"
        );
    }
    assert!(
        !folder.path().join("lakh-data").exists(),
        "nothing was begun"
    );
    let (code, out, _) = output(folder.path(), &["check-config", "--bind", ":0", "--open"]);
    assert_eq!(code, 0);
    assert!(out.contains("open to everybody"), "{out}");
}

#[test]
fn a_file_in_the_folder_is_read_and_its_mistakes_are_told_with_lines() {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("lakh.toml"),
        "[server]\nbnid = 1\nloops = \"x\"\n",
    )
    .unwrap();
    let (code, _, err) = output(folder.path(), &["serve", "chta"]);
    assert_eq!(code, 2);
    for part in [
        "3 settings are wrong",
        "lakh.toml line 2: unknown key `server.bnid`: did you mean `server.bind`?",
        "lakh.toml line 3: `server.loops`: expected a whole number",
        "unknown word `chta`: did you mean `chat`?",
    ] {
        assert!(err.contains(part), "{part} in\n{err}");
    }
    let (code, _, err) = output(folder.path(), &["check-config", "--config", "other.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("other.toml can't be read"), "{err}");
}

#[test]
fn print_config_says_where_a_value_came_from_and_hides_secrets() {
    let folder = TempDir::new().unwrap();
    let args = ["print-config", "--auth-secret", SECRET, "--node", "n1"];
    let output = lakh(folder.path(), &args)
        .env("LAKH_PATH", "/rt/")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("path = \"/rt/\" # LAKH_PATH"), "{text}");
    assert!(text.contains("node = \"n1\" # --node"), "{text}");
    assert!(
        text.contains("ping_interval_ms = 25000 # default"),
        "{text}"
    );
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn what_a_fleet_needs_is_told_before_the_start() {
    let folder = TempDir::new().unwrap();
    for command in ["serve", "check-config"] {
        for (flag, word) in [("--broker", "redis-streams"), ("--store", "redis")] {
            let (code, _, err) = output(folder.path(), &[command, flag, word]);
            assert_eq!(code, 2, "{err}");
            assert!(err.contains("give --redis URL, LAKH_REDIS or"), "{err}");
        }
        let (code, _, err) = output(folder.path(), &[command, "--redis", "localhost:6379"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("--redis: `redis.url`"), "{err}");
    }
    assert!(!folder.path().join("lakh-data").exists());
    let url = "redis://lakh:hunter2@redis/1";
    let args = ["print-config", "--redis", url, "--broker", "redis"];
    let (code, out, _) = output(folder.path(), &args);
    assert_eq!(code, 0);
    assert!(
        out.contains("# url = \"redis://lakh:***@redis/1\" # --redis"),
        "{out}"
    );
    assert!(out.contains("broker = \"redis\" # --broker"), "{out}");
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn a_token_is_printed_alone_or_it_is_said_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let (code, out, _) = output(
        folder.path(),
        &["token", "--admin", "--auth-secret", SECRET],
    );
    assert_eq!(code, 0);
    assert_eq!(out.trim().split('.').count(), 3, "{out}");
    let (code, out, err) = output(folder.path(), &["token", "--sub", "u1"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("there is no secret"), "{err}");
}

#[test]
fn a_port_that_is_taken_is_told_and_the_exit_code_is_1() {
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let (code, _, err) = output(folder.path(), &["serve", "--bind", &bind]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("the address is in use"), "{err}");
}

#[test]
fn files_and_folders_that_cannot_be_used_are_told_before_the_start() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("bad.pem"), "no certificate").unwrap();
    let config = format!("[tls]\ncert = {0:?}\nkey = {0:?}\n", path("bad.pem"));
    std::fs::write(path("tls.toml"), config).unwrap();
    for command in ["serve", "check-config"] {
        let (code, _, err) = output(folder.path(), &[command, "--config", "tls.toml"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("no certificate in"), "{err}");
    }
    assert!(!folder.path().join("lakh-data").exists());
    let (code, _, err) = output(folder.path(), &["serve", "--data", "bad.pem"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("--data takes another"), "{err}");
}

#[test]
fn completions_know_the_commands() {
    let folder = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = output(folder.path(), &["completions", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("print-config"), "{shell}");
    }
}
