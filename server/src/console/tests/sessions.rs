//! How long a session lasts, and what it's worth.

use super::*;

#[tokio::test]
async fn a_sign_in_makes_a_new_id_and_ends_the_one_before() {
    let console = console(&settings(), &Store::memory());
    let state = with(&console);
    let planted = format!("__Host-lakh={}", "0a".repeat(32));
    let mut request = try_password("ada", PASSWORD);
    request
        .headers_mut()
        .insert("cookie", planted.parse().unwrap());
    let first = session_cookie(&ask(&state, request).await);
    assert_ne!(first, planted);
    let of = |cookie: String| {
        let state = &state;
        async move {
            ask(state, get("/api/v1/stats", &cookie))
                .await
                .status()
                .as_u16()
        }
    };
    assert_eq!(of(planted).await, 401);
    assert_eq!(of(first.clone()).await, 200);
    let mut request = try_password("ada", PASSWORD);
    request
        .headers_mut()
        .insert("cookie", first.parse().unwrap());
    let second = session_cookie(&ask(&state, request).await);
    assert_ne!(second, first);
    assert_eq!(of(first).await, 401);
    assert_eq!(of(second).await, 200);
}

#[tokio::test]
async fn a_session_that_ends_before_its_time_is_told_by_its_name() {
    let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let plan = Plan::new(&settings(), Mode::Production).unwrap().unwrap();
    let console = Console::new(plan, Store::memory(), now);
    let tell = move |session: String, until_s: u64| hears.lock().push((session, until_s));
    let state = with(&Arc::new(console.on_end(Box::new(tell))));
    let first = sign_in(&state).await;
    let principal = async |cookie: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", cookie.parse().unwrap());
        let console = state.console.as_ref().unwrap();
        console.principal_of(&headers).await.unwrap()
    };
    let name = principal(&first).await.session.unwrap();
    let mut again = try_password("ada", PASSWORD);
    again.headers_mut().insert("cookie", first.parse().unwrap());
    let second = session_cookie(&ask(&state, again).await);
    let other = principal(&second).await.session.unwrap();
    let until_s = NOW / 1_000 + 43_200;
    assert_eq!(*told.lock(), [(name.clone(), until_s)]);
    ask(&state, post("/api/v1/session/end", &second)).await;
    ask(&state, post("/api/v1/session/end", &second)).await;
    assert_eq!(*told.lock(), [(name, until_s), (other, until_s)]);
}

#[tokio::test]
async fn a_session_becomes_a_principal() {
    let console = console(&settings(), &Store::memory());
    let cookie = session_with(&console, &["staff", "x"]).await;
    let mut headers = HeaderMap::new();
    headers.insert("cookie", cookie.parse().unwrap());
    let principal = console.principal_of(&headers).await.unwrap();
    let session = principal.session.clone().unwrap();
    assert!(!cookie.contains(&session), "the id is a secret");
    assert_eq!(
        principal,
        Principal {
            roles: vec!["staff".into(), "x".into()],
            grants: reads(),
            session: Some(session),
            issued_at: Some(NOW / 1_000),
            expires_at: Some(NOW / 1_000 + 43_200),
            ..Principal::person("oidc:7", "Grace")
        }
    );
    headers.insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(console.principal_of(&headers).await, None);
    assert_eq!(console.principal_of(&HeaderMap::new()).await, None);
}

#[tokio::test]
async fn sessions_are_shared_by_nodes_with_one_store_and_follow_the_settings() {
    let store = Store::memory();
    let console_a = console(&settings(), &store);
    let cookie = session_with(&console_a, &["staff"]).await;
    let local = sign_in(&with(&console_a)).await;
    let status = async |settings: &Settings, cookie: &str| {
        let other = console(settings, &store);
        ask(&with(&other), get("/api/v1/stats", cookie))
            .await
            .status()
            .as_u16()
    };
    assert_eq!(status(&settings(), &cookie).await, 200);
    assert_eq!(status(&settings(), &local).await, 200);
    let mut changed = settings();
    changed.console.reader_roles.clear();
    assert_eq!(
        status(&changed, &cookie).await,
        401,
        "the role lost its right"
    );
    let mut changed = settings();
    changed.console.oidc_issuer = Some("http://127.0.0.1:2".into());
    assert_eq!(status(&changed, &cookie).await, 401, "another provider");
    let mut changed = settings();
    let hash = lakh_auth::password::hash("battery staple", &[8; 16]).unwrap();
    changed.console.admin_password_hash = Some(Secret(hash));
    assert_eq!(status(&changed, &local).await, 401, "another password");
    let mut changed = settings();
    changed.console.admin_user = Some("grace".into());
    assert_eq!(status(&changed, &local).await, 401, "another admin");
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_at_its_end() {
    let mut short = settings();
    short.console.session_ms = 600_000;
    short.console.session_idle_ms = 60_000;
    let console = console(&short, &Store::memory());
    let state = with(&console);
    let cookie = sign_in(&state).await;
    let status = async || {
        ask(&state, get("/api/v1/stats", &cookie))
            .await
            .status()
            .as_u16()
    };
    for _ in 0..11 {
        pass(50_000);
        assert_eq!(status().await, 200);
    }
    pass(50_000);
    assert_eq!(status().await, 401, "its end");
    let cookie = sign_in(&state).await;
    pass(60_000);
    assert_eq!(
        ask(&state, get("/api/v1/stats", &cookie))
            .await
            .status()
            .as_u16(),
        401
    );
}
