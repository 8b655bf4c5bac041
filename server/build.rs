//! Lays the page out for the binary: `web/dist`, with each text file compressed beside it as `.br` and `.gz`.
//!
//! Without a built page a placeholder takes its place, so that a plain `cargo build` works on a machine without Node.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const PLACEHOLDER: &str = include_str!("placeholder.html");

/// Kinds of files that compress well; images and fonts are compressed by their own format.
const TEXT: [&str; 8] = [
    "html",
    "js",
    "css",
    "svg",
    "json",
    "txt",
    "map",
    "webmanifest",
];

fn main() -> io::Result<()> {
    let web = Path::new("../web");
    let dist = web.join("dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=placeholder.html");
    if web.is_dir() {
        // Cargo takes a missing folder for a changed one, and would build this crate anew each time.
        let _ = fs::create_dir_all(&dist);
        println!("cargo::rerun-if-changed=../web/dist");
    }

    let out =
        PathBuf::from(std::env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?).join("page");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    if dist.join("index.html").is_file() {
        copy(&dist, &out)
    } else {
        write(&out.join("index.html"), PLACEHOLDER.as_bytes())
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
            continue;
        }
        write(&target, &fs::read(entry.path())?)?;
    }
    Ok(())
}

/// Writes a file and its compressed forms, if it is of a kind that shrinks.
fn write(target: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(target, content)?;
    let kind = target.extension().and_then(|kind| kind.to_str());
    // Below that the headers weigh more than what is saved.
    if TEXT.contains(&kind.unwrap_or_default()) && content.len() > 200 {
        fs::write(beside(target, "br"), brotli(content)?)?;
        fs::write(beside(target, "gz"), gzip(content)?)?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn brotli(mut content: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    // 11, the best, takes many times as long for a few percent.
    let params = brotli::enc::BrotliEncoderParams {
        quality: 9,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut content, &mut out, &params)?;
    Ok(out)
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}
