//! HTTP around the engine: CORS, cookie, hooks, other routes.

use http::HeaderValue;
use lakh_net::cookie::{CookieOptions, StickyCookie};
use lakh_net::cors::{Cors, CorsOptions, Origins};
use lakh_net::{Hooks, Options, Router};

use crate::support::{POLL, WS, loops, poll_path, start, start_with};

fn with_cors() -> Options {
    let origins = Origins::List(vec!["https://app.example.com".to_owned()]);
    let cors = CorsOptions {
        credentials: true,
        ..CorsOptions::new(origins)
    };
    Options {
        cors: Some(Cors::new(&cors).unwrap()),
        ..Options::default()
    }
}

#[test]
fn pages_of_other_origins_are_answered_if_they_are_listed() {
    let server = start(loops(1), with_cors());
    let mut conn = server.connect();
    let origin = ("Origin", "https://app.example.com");
    let asked = [
        origin,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-mine"),
    ];
    let preflight = conn.request("OPTIONS", POLL, &asked, b"");
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some(origin.1)
    );
    assert_eq!(
        preflight.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        Some("x-mine")
    );
    let opened = conn.request("GET", POLL, &[origin], b"");
    assert_eq!(opened.header("access-control-allow-origin"), Some(origin.1));
    let sid = crate::support::sid_of(&opened.text());
    let posted = conn.request("POST", &poll_path(&sid), &[origin], b"40");
    assert_eq!(posted.header("access-control-allow-origin"), Some(origin.1));
    let refused = conn.request("GET", "/socket.io/?EIO=4", &[origin], b"");
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some(origin.1)
    );
    let foreign = conn.request("GET", POLL, &[("Origin", "https://evil.example")], b"");
    assert_eq!(foreign.header("access-control-allow-origin"), None);
}

#[test]
fn websockets_of_foreign_pages_are_refused_where_origins_are_checked() {
    let options = Options {
        check_origin: true,
        ..with_cors()
    };
    let server = start(loops(1), options);
    for (origin, taken) in [
        ("https://app.example.com", true),
        ("http://localhost", true),
        ("https://evil.example", false),
    ] {
        for through_http in [false, true] {
            let mut conn = server.connect();
            if through_http {
                conn.open();
            }
            let answer = conn.upgrade_with(WS, &[("Origin", origin)]);
            match answer {
                Ok(_) => assert!(taken, "{origin}"),
                Err(refused) => {
                    assert_eq!((refused.status, taken), (403, false), "{origin}");
                    assert_eq!(refused.text(), r#"{"code":4,"message":"Forbidden"}"#);
                }
            }
        }
    }
}

#[test]
fn the_cookie_comes_with_the_session_and_only_then() {
    let options = Options {
        cookie: Some(StickyCookie::new(&CookieOptions::default()).unwrap()),
        ..Options::default()
    };
    let server = start(loops(1), options);
    let mut conn = server.connect();
    let opened = conn.get(POLL);
    let sid = crate::support::sid_of(&opened.text());
    let cookie = opened.header("set-cookie").unwrap();
    assert_eq!(cookie, format!("io={sid}; Path=/; HttpOnly; SameSite=Lax"));
    assert_eq!(
        conn.post(&poll_path(&sid), b"40").header("set-cookie"),
        None
    );
    assert_eq!(conn.get(&poll_path(&sid)).header("set-cookie"), None);
    let mut ws = server.connect();
    let accepted = ws.upgrade(WS).unwrap();
    assert!(accepted.header("set-cookie").unwrap().starts_with("io="));
}

#[test]
fn hooks_refuse_handshakes_and_add_headers() {
    let hooks = Hooks::default()
        .use_request(|request| match request.headers.contains_key("x-banned") {
            true => Err("banned".to_owned()),
            false => Ok(()),
        })
        .allow_request(async |request| match request.headers.get("x-key") {
            Some(key) if key == "right" => Ok(()),
            _ => Err("wrong key".to_owned()),
        })
        .initial_headers(|_, headers| {
            headers.insert("x-initial", HeaderValue::from_static("1"));
        })
        .headers(|_, headers| {
            headers.insert("x-each", HeaderValue::from_static("2"));
        });
    let options = Options {
        hooks,
        ..Options::default()
    };
    let server = start(loops(1), options);
    let key = ("X-Key", "right");
    let mut conn = server.connect();
    let refused = conn.get(POLL);
    assert_eq!((refused.status, refused.header("x-each")), (403, Some("2")));
    assert_eq!(refused.text(), r#"{"code":4,"message":"Forbidden"}"#);
    let opened = conn.request("GET", POLL, &[key], b"");
    assert_eq!(
        (opened.header("x-initial"), opened.header("x-each")),
        (Some("1"), Some("2"))
    );
    let sid = crate::support::sid_of(&opened.text());
    let posted = conn.post(&poll_path(&sid), b"40");
    assert_eq!(
        (posted.header("x-initial"), posted.header("x-each")),
        (None, Some("2"))
    );
    let banned = conn.request("GET", &poll_path(&sid), &[("X-Banned", "1")], b"");
    assert_eq!(banned.status, 403);
    // The same for WebSockets, on a fresh connection and through the HTTP library.
    assert_eq!(server.connect().upgrade(WS).unwrap_err().status, 403);
    let accepted = server.connect().upgrade_with(WS, &[key]).unwrap();
    assert_eq!(
        (accepted.header("x-initial"), accepted.header("x-each")),
        (Some("1"), Some("2"))
    );
    let through_http = conn.upgrade_with(WS, &[key]).unwrap();
    assert_eq!(through_http.header("x-initial"), Some("1"));
}

#[test]
fn kept_headers_and_the_address_reach_the_handlers() {
    let server = start(loops(1), Options::default());
    let mut ws = server.connect();
    ws.upgrade_with(WS, &[("X-Kept", "yes"), ("X-Forgotten", "no")])
        .unwrap();
    ws.join();
    let who = ws.ask(r#"["who"]"#);
    assert!(
        who.contains("127.0.0.1:") && who.ends_with(r#",false,"yes"]"#),
        "{who}"
    );
}

#[test]
fn everything_else_is_the_routers() {
    let router = Router::new().route("/hello", lakh_net_route());
    let server = start_with(loops(2), Options::default(), Some(router));
    let mut conn = server.connect();
    assert_eq!(conn.get("/hello").text(), "hello");
    let sid = conn.open();
    assert_eq!(conn.get("/hello").status, 200);
    assert_eq!(conn.post(&poll_path(&sid), b"40").status, 200);
    assert_eq!(conn.get("/nowhere").status, 404);
    assert_eq!(
        start(loops(1), Options::default())
            .connect()
            .get("/")
            .status,
        404
    );
}

fn lakh_net_route() -> axum::routing::MethodRouter {
    axum::routing::get(async || "hello")
}

#[test]
fn the_path_can_be_set_and_transports_switched_off() {
    let options = Options {
        path: "/live/".to_owned(),
        websocket: false,
        ..Options::default()
    };
    let server = start(loops(1), options);
    let mut conn = server.connect();
    assert_eq!(conn.get(POLL).status, 404);
    assert_eq!(conn.get("/live/?EIO=4&transport=polling").status, 200);
    let refused = conn
        .upgrade("/live/?EIO=4&transport=websocket")
        .unwrap_err();
    assert_eq!(
        refused.text(),
        r#"{"code":0,"message":"Transport unknown"}"#
    );
}

#[test]
fn an_engine_without_socket_io_is_served_at_its_own_path() {
    let options = Options {
        engine_path: Some("/engine.io/".to_owned()),
        ..Options::default()
    };
    let server = start(loops(2), options);
    server.hub.set_engine_io(
        lakh_hub::EngineHandlers::default().on_message(|socket, message| socket.send(&message)),
    );
    let mut ws = server.connect();
    ws.upgrade("/engine.io/?EIO=4&transport=websocket").unwrap();
    assert!(ws.text().starts_with('0'));
    ws.send("4hello");
    assert_eq!(ws.text(), "4hello");
    ws.frame(0x82, &[1, 2, 3]);
    assert_eq!(ws.receive().unwrap(), (0x82, vec![1, 2, 3]));
    assert_eq!(server.hub.stats().sockets, 0);
}

#[test]
fn a_session_that_is_closed_as_it_opens_still_gets_its_handshake_answered_first() {
    let options = Options {
        engine_path: Some("/engine.io/".to_owned()),
        ..Options::default()
    };
    let server = start(loops(2), options);
    server
        .hub
        .set_engine_io(lakh_hub::EngineHandlers::default().on_open(|socket| {
            socket.send_text("not now");
            socket.close();
        }));
    let mut ws = server.connect();
    ws.upgrade("/engine.io/?EIO=4&transport=websocket").unwrap();
    assert!(ws.text().starts_with('0'));
    assert_eq!(ws.text(), "4not now");
    assert_eq!(ws.receive().unwrap().0, 0x88);
}
