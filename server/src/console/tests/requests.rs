//! Where a request comes from, and what it may do.

use super::*;

#[tokio::test]
async fn only_the_page_itself_signs_in_and_out_and_changes_something() {
    let console = console(&settings(), &Store::memory());
    let state = with(&console);
    let cookie = sign_in(&state).await;
    let evil: [&[(&str, &str)]; 5] = [
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", OWN), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ];
    for headers in evil {
        let credentials = json!({ "user": "ada", "password": PASSWORD });
        let login = request("POST", "/api/v1/session", headers, credentials);
        let login = ask(&state, login).await;
        assert_eq!(set_cookies(&login), [""; 0]);
        assert_eq!(code(login).await, (403, "cross_site".into()), "{headers:?}");
        let mut all = headers.to_vec();
        all.push(("cookie", &cookie));
        for path in ["/api/v1/session/end", "/api/v1/stats"] {
            let refused = ask(&state, request("POST", path, &all, Value::Null)).await;
            assert_eq!(set_cookies(&refused), [""; 0]);
            assert_eq!(
                code(refused).await,
                (403, "cross_site".into()),
                "{path} {headers:?}"
            );
        }
    }
    // It is still there, and the page itself gets through to the path's own answer.
    let own = ask(&state, post("/api/v1/stats", &cookie)).await;
    assert_eq!(code(own).await, (405, "method_not_allowed".into()));
    // Nor may another site read with it.
    let read = [
        ("cookie", cookie.as_str()),
        ("origin", "https://evil.example"),
    ];
    let read = ask(&state, request("GET", "/api/v1/stats", &read, Value::Null)).await;
    assert_eq!(code(read).await.0, 403);
    let who = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "cross-site"),
    ];
    let who = ask(&state, request("GET", "/api/v1/session", &who, Value::Null)).await;
    assert_eq!(body(who).await["person"], Value::Null);
}

#[tokio::test]
async fn a_reader_looks_at_everything_and_changes_nothing() {
    let console = console(&settings(), &Store::memory());
    let state = with(&console);
    let event = json!({ "rooms": ["a"], "event": "x", "data": 1 });
    for (roles, looks, changes, rights) in [
        (&["staff"][..], 200, Some(403), "read"),
        // No loop runs here that would do it: what an admin may is seen in `tests/oidc`.
        (&["staff", "ops"], 200, None, "all"),
        (&["ops"], 200, None, "all"),
        (&["guest"], 401, Some(401), ""),
        (&[], 401, Some(401), ""),
    ] {
        let cookie = session_with(&console, roles).await;
        let looked = ask(&state, get("/api/v1/stats", &cookie)).await;
        assert_eq!(looked.status().as_u16(), looks, "{roles:?}");
        if let Some(expected) = changes {
            let headers = [
                ("cookie", cookie.as_str()),
                ("origin", OWN),
                ("content-type", "application/json"),
            ];
            let emit = request("POST", "/api/v1/emit", &headers, event.clone());
            let changed = ask(&state, emit).await;
            assert_eq!(changed.status().as_u16(), expected, "{roles:?}");
        }
        let who = body(ask(&state, get("/api/v1/session", &cookie)).await).await;
        assert_eq!(who["person"]["rights"].as_str().unwrap_or_default(), rights);
    }
    // A token counts before a cookie, and a bad one is not made good by it.
    let cookie = session_with(&console, &["ops"]).await;
    let both = [
        ("cookie", cookie.as_str()),
        ("authorization", "Bearer x.y.z"),
    ];
    let both = ask(&state, request("GET", "/api/v1/stats", &both, Value::Null)).await;
    assert_eq!(both.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_socket_is_signed_in_by_the_session_of_the_page_that_opened_it() {
    let console = console(&settings(), &Store::memory());
    let cookie = session_with(&console, &["ops"]).await;
    let ask = async |query: &str, headers: &[(&str, &str)]| {
        let headers = headers.iter();
        let handshake = Handshake {
            address: "192.0.2.1:9".parse().unwrap(),
            secure: true,
            time_ms: NOW,
            query: query.into(),
            headers: headers
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        };
        console.principal_at(&handshake).await
    };
    let of = async |headers: &[(&str, &str)]| ask("EIO=4&transport=polling", headers).await;
    let cookie = ("cookie", cookie.as_str());
    assert!(
        ask("EIO=4&transport=polling&j=0", &[cookie])
            .await
            .is_none()
    );
    let ada = of(&[cookie, ("origin", OWN)]).await.unwrap();
    assert!(ada.admin && ada.id == "oidc:7");
    assert!(
        of(&[cookie, ("sec-fetch-site", "same-origin")])
            .await
            .is_some()
    );
    assert!(
        of(&[cookie, ("origin", "https://evil.example")])
            .await
            .is_none()
    );
    assert!(
        of(&[cookie, ("sec-fetch-site", "cross-site")])
            .await
            .is_none()
    );
    assert!(of(&[("origin", OWN)]).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_or_hangs_is_told_in_words_and_in_json() {
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}", silent.local_addr().unwrap());
    for issuer in ["http://127.0.0.1:1", &hanging] {
        let mut settings = settings();
        settings.console.oidc_issuer = Some(issuer.into());
        let state = with(&console(&settings, &Store::memory()));
        let page = ask(&state, get("/console/sign-in?return_to=/chat", "")).await;
        assert_eq!(
            location(&page),
            "/sign-in?problem=provider_unreachable&return_to=%2Fchat",
            "{issuer}"
        );
        assert_eq!(set_cookies(&page), [""; 0]);
        let json = [("accept", "application/json")];
        let json = request("GET", "/console/sign-in", &json, Value::Null);
        let json = code(ask(&state, json).await).await;
        assert_eq!(json, (502, "provider_unreachable".into()));
    }
}

#[tokio::test]
async fn a_callback_without_its_beginning_signs_nobody_in() {
    let state = state();
    for (cookie, query) in [
        ("", "?code=x&state=y"),
        ("__Host-lakh-login=0", "?code=x&state=y"),
        (
            &format!("__Host-lakh-login={}", "0a".repeat(32)),
            "?code=x&state=y",
        ),
        ("", ""),
    ] {
        let back = ask(&state, get(&format!("/console/callback{query}"), cookie)).await;
        assert_eq!(location(&back), "/sign-in?problem=sign_in_expired");
        assert_eq!(set_cookies(&back), [""; 0]);
    }
}

#[tokio::test]
async fn beginnings_are_bounded_by_address() {
    let state = state();
    let mut last = String::new();
    for _ in 0..31 {
        let page = ask(&state, get("/console/sign-in", "")).await;
        last = location(&page).to_owned();
    }
    assert_eq!(last, "/sign-in?problem=too_many_attempts");
}

#[test]
fn a_console_is_made_only_where_its_cookies_are_safe() {
    let of = |bind: &str, public: Option<&str>, mode: Mode| {
        let mut settings = settings();
        settings.server.bind = Address(bind.parse().unwrap());
        settings.console.public_url = public.map(str::to_owned);
        settings.console.oidc_issuer = None;
        Plan::new(&settings, mode).map(|plan| {
            let token = Token::random().unwrap();
            let cookie = plan.unwrap().cookies.set_session(&token);
            cookie.to_str().unwrap().starts_with("__Host-")
        })
    };
    let production = Mode::Production;
    assert_eq!(of("127.0.0.1:1", None, production), Ok(false));
    assert_eq!(of("127.0.0.1:1", Some(OWN), production), Ok(true));
    assert_eq!(of("0.0.0.0:1", Some(OWN), production), Ok(true));
    assert_eq!(
        of("0.0.0.0:1", Some("http://localhost:1"), production),
        Ok(false)
    );
    assert_eq!(
        of("0.0.0.0:1", None, production),
        Err(ConsoleError::NotPrivate)
    );
    for mode in [Mode::Development, Mode::Open] {
        assert_eq!(of("127.0.0.1:1", None, mode), Err(ConsoleError::Open));
    }
    assert!(
        Plan::new(&Settings::default(), production)
            .unwrap()
            .is_none()
    );
}
