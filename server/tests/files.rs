//! Files in messages over real HTTP: sent, looked at, served in parts, and refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;

use lakh_testkit::{Response, SocketClient, exchange, read_response};
use serde_json::{Value, json};
use support::redis::Redis;
use support::{Server, lakh};
use tempfile::TempDir;

/// A person in the room `r` of a server.
struct Person<'a> {
    server: &'a Server,
    socket: SocketClient,
}

impl<'a> Person<'a> {
    fn new(server: &'a Server, name: &str) -> Self {
        let auth = json!({ "name": name });
        let socket = SocketClient::connect(server.address, "/chat", &auth).unwrap();
        let mut person = Self { server, socket };
        person.call("room:join", &json!({"room": "r"}));
        person
    }

    fn call(&mut self, name: &str, argument: &Value) -> Value {
        let answer = self.socket.call(name, std::slice::from_ref(argument));
        let answer = answer.unwrap();
        assert_eq!(answer["ok"], true, "{name} {argument}: {answer}");
        answer
    }

    /// The path to send a file to.
    fn path(&mut self, name: &str, kind: &str, size: usize) -> String {
        let ask = json!({"room": "r", "name": name, "type": kind, "size": size});
        let ticket = self.call("attachment:upload", &ask);
        ticket["url"].as_str().unwrap().to_owned()
    }

    fn put(&mut self, name: &str, kind: &str, content: &[u8]) -> Response {
        let path = self.path(name, kind, content.len());
        put(self.server, &path, content)
    }

    /// A file in a message; gives the file.
    fn sent(&mut self, name: &str, kind: &str, content: &[u8]) -> Value {
        let put = self.put(name, kind, content);
        assert_eq!(put.status, 201, "{}", put.text());
        let file = json_of(&put);
        let key = file["id"].as_str().unwrap();
        let message = json!({"room": "r", "key": key, "attachments": [file["id"]]});
        let sent = self.call("message:send", &message);
        assert_eq!(sent["message"]["attachments"], json!([file]));
        file
    }

    fn access(&mut self) -> String {
        let access = self.call("attachment:access", &json!({}));
        access["access"].as_str().unwrap().to_owned()
    }
}

fn put(server: &Server, path: &str, content: &[u8]) -> Response {
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        content.len()
    );
    exchange(server.address, &[head.as_bytes(), content].concat()).unwrap()
}

fn ask(server: &Server, method: &str, path: &str, headers: &str) -> Response {
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
    exchange(server.address, request.as_bytes()).unwrap()
}

/// The head of an answer that has no body, whatever it says of its length.
fn head(server: &Server, path: &str) -> String {
    let mut stream = lakh_testkit::connect(server.address).unwrap();
    let request = format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

fn code_of(response: &Response) -> String {
    json_of(response)["error"]["code"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Files below a folder, but for the database.
fn files_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_in(&path)),
            false => found.push(path.display().to_string()),
        }
    }
    found
}

/// A picture without compression: each row of PNG's data is stored as it is.
fn png(width: u32, height: u32) -> Vec<u8> {
    let row = 1 + width as usize * 3;
    let raw: Vec<u8> = (0..row * height as usize)
        .map(|at| if at % row == 0 { 0 } else { (at % 251) as u8 })
        .collect();
    let mut zlib = vec![0x78, 0x01];
    let last = raw.len().div_ceil(65_535) - 1;
    for (number, block) in raw.chunks(65_535).enumerate() {
        let length = block.len() as u16;
        zlib.push(u8::from(number == last));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in &raw {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let head = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 2, 0, 0, 0],
    ]
    .concat();
    for (name, data) in [(b"IHDR", head), (b"IDAT", zlib), (b"IEND", Vec::new())] {
        bytes.extend((data.len() as u32).to_be_bytes());
        let part = [&name[..], &data].concat();
        bytes.extend(&part);
        bytes.extend(crc(&part).to_be_bytes());
    }
    bytes
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

fn parts_are_answered(server: &Server, path: &str, content: &[u8], tag: &str) {
    let size = content.len();
    for (headers, status, part) in [
        ("range: bytes=0-9\r\n".to_owned(), 206, 0..10),
        (
            format!("range: bytes={}-\r\n", size - 5),
            206,
            size - 5..size,
        ),
        ("range: bytes=-7\r\n".to_owned(), 206, size - 7..size),
        (format!("range: bytes=5-{}\r\n", size * 2), 206, 5..size),
        (
            format!("range: bytes=0-0\r\nif-range: {tag}\r\n"),
            206,
            0..1,
        ),
        (
            "range: bytes=0-0\r\nif-range: \"other\"\r\n".to_owned(),
            200,
            0..size,
        ),
        ("range: bytes=0-1,4-5\r\n".to_owned(), 200, 0..size),
        ("range: bytes=9-2\r\n".to_owned(), 200, 0..size),
    ] {
        let answer = ask(server, "GET", path, &headers);
        assert_eq!(answer.status, status, "{headers}");
        assert!(answer.body == content[part.clone()], "{headers}");
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        let expected = (status == 206).then_some(&*range);
        assert_eq!(answer.header("content-range"), expected, "{headers}");
    }
    let nowhere = ask(server, "GET", path, &format!("range: bytes={size}-\r\n"));
    assert_eq!(nowhere.status, 416);
    assert_eq!(
        nowhere.header("content-range"),
        Some(&*format!("bytes */{size}"))
    );
}

#[test]
fn a_picture_is_sent_looked_at_and_fetched_by_the_rules() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut ada = Person::new(&server, "Ada");
    let content = png(1_000, 500);
    let file = ada.sent("ä.png", "image/png", &content);
    assert_eq!(
        (&file["width"], &file["height"]),
        (&json!(1_000), &json!(500))
    );
    let url = file["url"].as_str().unwrap();
    let access = format!("?access={}", ada.access());
    let path = format!("{url}{access}");

    let whole = ask(&server, "GET", &path, "");
    assert_eq!((whole.status, whole.body == content), (200, true));
    let tag = whole.header("etag").unwrap().to_owned();
    for (name, value) in [
        ("content-type", "image/png"),
        (
            "content-disposition",
            "inline; filename=\"_.png\"; filename*=UTF-8''%C3%A4.png",
        ),
        ("cache-control", "private, max-age=86400, immutable"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("content-length", &content.len().to_string()),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(whole.header(name), Some(value), "{name}");
    }
    assert!(
        whole
            .header("content-security-policy")
            .unwrap()
            .contains("sandbox")
    );
    let head = head(&server, &path);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for line in [
        format!("content-length: {}", content.len()),
        format!("etag: {tag}"),
    ] {
        assert!(
            head.contains(&format!("\r\n{line}\r\n")),
            "{line} in {head}"
        );
    }
    assert!(head.ends_with("\r\n\r\n"), "and nothing behind it");
    let known = ask(&server, "GET", &path, &format!("if-none-match: {tag}\r\n"));
    assert_eq!(
        (known.status, known.body.len(), known.header("etag")),
        (304, 0, Some(&*tag))
    );

    parts_are_answered(&server, &path, &content, &tag);

    let small = file["thumbnail"].as_str().unwrap();
    let small = ask(&server, "GET", &format!("{small}{access}"), "");
    assert_eq!(
        (small.status, small.header("content-type")),
        (200, Some("image/jpeg"))
    );
    assert!(small.body.starts_with(b"\xff\xd8\xff"));
    // Nobody without a word, or with a wrong one.
    for path in [url.to_owned(), format!("{url}?access=a.b")] {
        let refused = ask(&server, "GET", &path, "");
        assert_eq!((refused.status, &*code_of(&refused)), (401, "unauthorized"));
    }
    let posted = ask(&server, "POST", &path, "content-length: 0\r\n");
    assert_eq!(posted.status, 405);
}

#[test]
fn what_a_person_sends_never_runs_in_a_page() {
    let folder = TempDir::new().unwrap();
    let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    let mut command = lakh(folder.path(), &args);
    let server = Server::run(command.env("LAKH_CHAT__FILES__TYPES", "*/*"));
    let mut ada = Person::new(&server, "Ada");
    let access = ada.access();
    let page = b"<!DOCTYPE html><script>alert(1)</script>";
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    for (name, kind, content) in [
        ("a.html", "text/html", &page[..]),
        ("a", "application/octet-stream", page),
        ("a.svg", "image/svg+xml", svg),
        ("a.js", "text/javascript", b"alert(1)"),
        ("a.css", "text/css", b"* { color: red }"),
        ("x\r\nX-Evil: 1", "application/xhtml+xml", page),
    ] {
        let file = ada.sent(name, kind, content);
        let path = format!("{}?access={access}", file["url"].as_str().unwrap());
        let answer = ask(&server, "GET", &path, "");
        assert_eq!(answer.body, content, "{name}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/octet-stream"),
            "{name}"
        );
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; "), "{disposition}");
        assert!(
            answer
                .header("content-security-policy")
                .unwrap()
                .contains("sandbox")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-evil"), None);
    }
    for (name, disposition) in [
        (
            "\"; filename=\"b.html",
            "attachment; filename=\"_; filename=_b.html\"; filename*=UTF-8''%22%3B%20filename%3D%22b.html",
        ),
        (
            "C:\\x\\100%.zip",
            "attachment; filename=\"100_.zip\"; filename*=UTF-8''100%25.zip",
        ),
        (
            "thumbnail",
            "attachment; filename=\"thumbnail\"; filename*=UTF-8''thumbnail",
        ),
        (
            "日本.zip",
            "attachment; filename=\"__.zip\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.zip",
        ),
    ] {
        let file = ada.sent(name, "application/x-thing", name.as_bytes());
        let path = format!("{}?access={access}", file["url"].as_str().unwrap());
        let answer = ask(&server, "GET", &path, "");
        assert_eq!(answer.header("content-disposition"), Some(disposition));
        assert_eq!(answer.body, name.as_bytes());
    }
}

#[test]
fn what_is_not_what_it_seems_is_refused_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut ada = Person::new(&server, "Ada");
    let picture = png(100, 100);
    let mut bomb = picture.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(64, 0);
    let sum = crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&sum.to_be_bytes());
    for (kind, content, status, code) in [
        ("image/png", b"<html>" as &[u8], 422, "type_mismatch"),
        (
            "image/jpeg",
            b"MZ\x90\0\x03\0\0\0\x04\0",
            422,
            "type_mismatch",
        ),
        ("application/pdf", b"no document", 422, "type_mismatch"),
        (
            "image/png",
            &picture[..picture.len() / 2],
            422,
            "bad_picture",
        ),
        ("image/png", &bomb, 413, "too_large"),
        // What it is counts, and that isn't taken.
        ("text/plain", &program, 415, "unsupported_type"),
    ] {
        let put = ada.put("a", kind, content);
        assert_eq!((put.status, &*code_of(&put)), (status, code), "{kind}");
    }
    assert_eq!(
        files_in(&folder.path().join("lakh-data/files")),
        Vec::<String>::new()
    );
}

#[test]
fn more_or_less_than_was_asked_for_is_refused_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut ada = Person::new(&server, "Ada");
    let path = ada.path("a.txt", "text/plain", 1_000_000);
    for (content, status) in [(vec![b'a'; 999_999], 400), (vec![b'a'; 1_000_001], 413)] {
        assert_eq!(put(&server, &path, &content).status, status);
    }
    // The same without a length at first.
    let mut stream = lakh_testkit::connect(server.address).unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..11 {
        let chunk = [b"186a0\r\n", &[b'a'; 100_000][..], b"\r\n"].concat();
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n");
    let answer = read_response(&mut BufReader::new(stream)).unwrap();
    assert_eq!((answer.status, &*code_of(&answer)), (413, "too_large"));
    // Somebody who goes away in the middle.
    let mut stream = lakh_testkit::connect(server.address).unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[b'a'; 400_000]).unwrap();
    drop(stream);
    let others = [
        ("content-encoding: gzip\r\n", 415),
        ("content-range: bytes 0-1/2\r\n", 400),
    ];
    for (header, status) in others {
        let answer = ask(
            &server,
            "PUT",
            &path,
            &format!("{header}content-length: 0\r\n"),
        );
        assert_eq!(answer.status, status, "{header}");
    }
    // The path is as good as before, once.
    let content = vec![b'a'; 1_000_000];
    let first = put(&server, &path, &content);
    assert_eq!(first.status, 201, "{}", first.text());
    let again = put(&server, &path, b"");
    assert_eq!((again.status, json_of(&again)), (200, json_of(&first)));
    let wrong = format!("{}0", &path[..path.len() - 1]);
    let wrong = if wrong == path {
        format!("{}1", &path[..path.len() - 1])
    } else {
        wrong
    };
    assert_eq!(put(&server, &wrong, &content).status, 404);
    // Whatever broke off is gone, as soon as the server has noticed.
    let kept = folder.path().join("lakh-data/files");
    while files_in(&kept.join("tmp"))
        .iter()
        .any(|path| path.contains("up-"))
    {
        std::thread::yield_now();
    }
    assert_eq!(files_in(&kept).len(), 1);
}

#[test]
fn pages_of_allowed_origins_may_send_and_fetch() {
    let folder = TempDir::new().unwrap();
    let args = ["serve", "--bind", "127.0.0.1:0", "--log-format", "json"];
    let mut command = lakh(folder.path(), &args);
    let server = Server::run(command.env("LAKH_CORS__ORIGINS", "https://app.example"));
    let mut ada = Person::new(&server, "Ada");
    let path = ada.path("a.txt", "text/plain", 5);
    let origin = "origin: https://app.example\r\n";
    let preflight = format!("{origin}access-control-request-method: PUT\r\n");
    let preflight = ask(&server, "OPTIONS", &path, &preflight);
    assert_eq!(preflight.status, 204);
    assert!(
        preflight
            .header("access-control-allow-methods")
            .unwrap()
            .contains("PUT")
    );
    let head = format!("{origin}content-length: 5\r\n");
    let request = format!("PUT {path} HTTP/1.1\r\nhost: x\r\n{head}connection: close\r\n\r\nhello");
    let answer = exchange(server.address, request.as_bytes()).unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://app.example")
    );
}

#[test]
fn two_nodes_with_one_folder_give_out_each_others_files_and_others_take_none() {
    let (redis, folder) = (Redis::start(), TempDir::new().unwrap());
    let node = |name: &str, shared: bool| {
        let args = [
            "serve",
            "--bind",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--node",
            name,
            "--data",
            name,
        ];
        let mut command = lakh(folder.path(), &args);
        command.env("LAKH_REDIS", redis.url());
        command.env("LAKH_CHAT__FILES__FOLDER", folder.path().join("shared"));
        Server::run(command.env("LAKH_CHAT__FILES__SHARED_FOLDER", shared.to_string()))
    };
    let (one, two) = (node("n01", true), node("n02", true));
    let (mut ada, mut ben) = (Person::new(&one, "Ada"), Person::new(&two, "Ben"));
    let content = png(900, 10);
    let file = ada.sent("a.png", "image/png", &content);
    // A word of one node counts on the other.
    for access in [ada.access(), ben.access()] {
        for server in [&one, &two] {
            let path = format!("{}?access={access}", file["url"].as_str().unwrap());
            let answer = ask(server, "GET", &path, "");
            assert_eq!((answer.status, answer.body == content), (200, true));
        }
    }
    // A path of one node takes a file on the other, and the same bytes are one file.
    let path = ben.path("b.png", "image/png", content.len());
    assert_eq!(put(&one, &path, &content).status, 201);
    assert_eq!(
        files_in(&folder.path().join("shared")).len(),
        2,
        "with the small one"
    );

    let alone = node("n03", false);
    let mut cy = Person::new(&alone, "Cy");
    let ask = json!({"room": "r", "name": "a", "type": "text/plain", "size": 1});
    let refused = cy.socket.call("attachment:upload", &[ask]).unwrap();
    assert_eq!(refused["error"]["code"], "unsupported", "{refused}");
}
