//! What is no request, or none that can be understood, is answered all the same.

#[path = "../../rooms/tests/driver/mod.rs"]
mod driver;
mod room;

use driver::run;
use lakh_chat::{Asker, REQUESTS};
use room::{here, message, start, unhurried};
use serde_json::{Value, json};

#[test]
fn what_no_request_is_called_is_answered_and_without_an_acknowledgement_passed_over() {
    run(async {
        let (on, _, _) = start(unhurried());
        let ada = here(&on, "Ada").await;
        for name in ["message:sent", "", "room:join ", "__proto__", "💬"] {
            for argument in [json!({}), json!(null), json!([1]), json!("x")] {
                assert_eq!(ada.refused(name, argument).await, "unknown_request");
            }
        }
        let long = ada.request(&"x".repeat(10_000), json!({})).await;
        let said = long["error"]["message"].as_str().expect("a message");
        assert_eq!(said, format!("`{}` is no request of /chat", "x".repeat(64)));
        ada.send_event("nothing", &json!({}));
        ada.ok("message:send", message("k", "still here")).await;
    });
}

#[test]
fn a_request_takes_one_object_and_nothing_else() {
    run(async {
        let (on, _, chat) = start(unhurried());
        let ada = here(&on, "Ada").await;
        let system = Asker::system();
        let wrong = [
            json!(null),
            json!(["r"]),
            json!([]),
            json!("r"),
            json!(1),
            json!(true),
        ];
        for name in REQUESTS {
            for argument in &wrong {
                assert_eq!(ada.refused(name, argument.clone()).await, "bad_request");
                let argument = argument.to_string();
                let called = chat.call(&system, name, &argument).await;
                let code = called.map_err(|failure| failure.code);
                assert_eq!(code.err(), Some("bad_request"), "{name} {argument}");
            }
        }
        let none: Value = ada.ask_without_argument("room:list").await;
        assert_eq!(none["error"]["code"], "bad_request");
        let said = none["error"]["message"].as_str().expect("a message");
        assert!(
            said.contains("one object with the request's fields"),
            "{said}"
        );
    });
}
