//! The local admin's password.

use super::*;

#[tokio::test]
async fn a_local_admin_signs_in_uses_the_api_and_signs_out() {
    let state = state();
    let who = body(ask(&state, get("/api/v1/session", "")).await).await;
    assert_eq!(
        who,
        json!({ "mode": "production", "person": null, "provider": "127.0.0.1", "local": true })
    );
    assert_eq!(
        code(ask(&state, get("/api/v1/stats", "")).await).await.0,
        401
    );

    let response = ask(&state, try_password("ada", PASSWORD)).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let cookie = set_cookies(&response).pop().unwrap();
    assert!(
        cookie.ends_with("; Max-Age=43200; Path=/; HttpOnly; Secure; SameSite=Strict"),
        "{cookie}"
    );
    let cookie = session_cookie(&response);
    let who = body(ask(&state, get("/api/v1/session", &cookie)).await).await;
    assert_eq!(
        who["person"],
        json!({
            "id": "local:ada", "name": "ada", "roles": [], "rights": "all", "now": NOW,
            "ends_at": NOW + 43_200_000, "idle_ends_at": NOW + 3_600_000,
        })
    );
    assert_eq!(
        ask(&state, get("/api/v1/stats", &cookie)).await.status(),
        StatusCode::OK
    );

    let ended = ask(&state, post("/api/v1/session/end", &cookie)).await;
    assert!(set_cookies(&ended)[0].starts_with("__Host-lakh=; Max-Age=0;"));
    assert_eq!(body(ended).await, json!({ "redirect": null }));
    assert_eq!(
        code(ask(&state, get("/api/v1/stats", &cookie)).await)
            .await
            .0,
        401
    );
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_get_the_same_answer() {
    let state = state();
    let mut answers = Vec::new();
    for (user, password) in [
        ("ada", "wrong"),
        ("eve", PASSWORD),
        ("", ""),
        ("ada ", PASSWORD),
    ] {
        let response = ask(&state, try_password(user, password)).await;
        assert_eq!(set_cookies(&response), [""; 0]);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        answers.push(body(response).await);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    assert_eq!(answers[0]["error"]["code"], "bad_credentials");
    for bad in [
        json!({ "user": "ada" }),
        json!("x"),
        json!({ "user": 1, "password": 2 }),
    ] {
        let request = request("POST", "/api/v1/session", &[("origin", OWN)], bad);
        assert_eq!(
            code(ask(&state, request).await).await,
            (400, "bad_request".into())
        );
    }
    let long = json!({ "user": "ada", "password": "x".repeat(10_000) });
    let long = request("POST", "/api/v1/session", &[("origin", OWN)], long);
    assert_eq!(code(ask(&state, long).await).await.0, 400);
}

#[tokio::test]
async fn tries_are_bounded_by_address_and_by_name() {
    let state = state();
    for _ in 0..10 {
        let response = ask(&state, try_password("ada", "wrong")).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    // Also the right one: who guesses must not learn that it was.
    let refused = ask(&state, try_password("ada", PASSWORD)).await;
    assert_eq!(refused.headers()["retry-after"], "6");
    assert_eq!(code(refused).await, (429, "too_many_attempts".into()));

    let from = |address: &str| {
        let mut request = try_password("ada", "wrong");
        let address: SocketAddr = address.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(address));
        request
    };
    // 20 are left for the name, from whichever address.
    for host in 0..20 {
        let response = ask(&state, from(&format!("198.51.100.{host}:1"))).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{host}");
    }
    let refused = ask(&state, from("198.51.100.99:1")).await;
    assert_eq!(code(refused).await.0, 429);
    pass(6_000);
    sign_in(&state).await;
}

#[tokio::test]
async fn what_is_not_set_up_says_so() {
    let mut only_local = settings();
    only_local.console.oidc_issuer = None;
    let console = console(&only_local, &Store::memory());
    let state = with(&console);
    let page = ask(&state, get("/console/sign-in?return_to=//evil.example", "")).await;
    assert_eq!(location(&page), "/sign-in?problem=not_configured");
    let none = http::tests::state(Mode::Development);
    let who = body(ask(&none, get("/api/v1/session", "")).await).await;
    let expected =
        json!({ "mode": "development", "person": null, "provider": null, "local": false });
    assert_eq!(who, expected);
    let refused = ask(&none, try_password("ada", PASSWORD)).await;
    assert_eq!(code(refused).await, (404, "not_configured".into()));
    for path in ["/api/v1/session", "/api/v1/session/end"] {
        let put = ask(&none, request("DELETE", path, &[], Value::Null)).await;
        assert!(put.headers()["allow"].to_str().unwrap().contains("POST"));
        assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
