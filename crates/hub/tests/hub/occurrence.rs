//! What happens is told to those who want to know, and made up for nobody else.

use std::sync::Arc;

use lakh_hub::{Occurrence, Person, Socket, Watcher, What};
use serde_json::json;

use crate::support::{Log, run};

/// Notes what it wants.
struct Notes {
    log: Log,
    wanted: &'static [What],
    namespace: &'static str,
}

impl Watcher for Notes {
    fn wants(&self, what: What, namespace: &str) -> bool {
        self.wanted.contains(&what) && namespace == self.namespace
    }

    fn saw(&self, occurrence: &Arc<Occurrence>) {
        let Occurrence {
            what, user, data, ..
        } = &**occurrence;
        let user = user.as_ref().map_or("", |user| user.name.as_str());
        let data = data.as_ref().map_or("", |data| data.get());
        let socket = occurrence.socket.as_deref().map_or(0, str::len);
        self.log.add(format!(
            "{} {} {socket} {user} {data}",
            what.word(),
            occurrence.namespace
        ));
    }
}

#[test]
fn connections_are_told_by_the_hub_in_every_namespace() {
    run(async |world| {
        let log = Log::default();
        world.hub().watch(Notes {
            log: log.clone(),
            wanted: &[What::Connect, What::Disconnect],
            namespace: "/made",
        });
        let made = world.of_fn(async |name, _| name == "/made");
        made.use_connect(async |socket: Socket| {
            socket.insert(Person {
                id: "ada".into(),
                name: "Ada".into(),
            });
            Ok(())
        });
        let client = world.client();
        client.texts();
        client.send("40/made,");
        world.settle().await;
        assert_eq!(log.take(), [r#"connect /made 20 Ada {"recovered":false}"#]);
        client.send("41/made,");
        world.settle().await;
        let left = r#"disconnect /made 20 Ada {"reason":"client namespace disconnect"}"#;
        assert_eq!(log.take(), [left]);
        // Of another namespace it wants to hear nothing.
        world.of("/");
        world.joined().cut();
        assert!(log.take().is_empty());
    });
}

#[test]
fn who_is_refused_was_never_there() {
    run(async |world| {
        let log = Log::default();
        world.hub().watch(Notes {
            log: log.clone(),
            wanted: &[What::Connect, What::Disconnect],
            namespace: "/",
        });
        world
            .of("/")
            .use_connect(async |_| Err(lakh_hub::ConnectError::new("No")));
        let client = world.client();
        client.send("40");
        world.settle().await;
        client.cut();
        assert!(log.take().is_empty());
    });
}

#[test]
fn an_occurrence_is_put_together_once_for_all_who_want_it_and_for_nobody_else() {
    run(async |world| {
        let hub = world.hub();
        let (first, second) = (Log::default(), Log::default());
        let wanted: [&[What]; 2] = [&[What::Join], &[What::Join, What::Leave]];
        for (log, wanted) in [&first, &second].into_iter().zip(wanted) {
            hub.watch(Notes {
                log: log.clone(),
                wanted,
                namespace: "/",
            });
        }
        let mut made = 0;
        for what in [What::Join, What::Leave, What::Message] {
            hub.tell(what, "/", || {
                made += 1;
                Occurrence::new(what, "/", "rooms", 7)
                    .in_room("r")
                    .with_data(&json!({"a": 1}))
            });
        }
        assert_eq!(made, 2, "nobody wants messages");
        assert_eq!(first.take(), [r#"join / 0  {"a":1}"#]);
        assert_eq!(
            second.take(),
            [r#"join / 0  {"a":1}"#, r#"leave / 0  {"a":1}"#]
        );
        assert!(hub.is_watched(What::Leave, "/"));
        assert!(!hub.is_watched(What::Leave, "/other"));
        assert!(!hub.is_watched(What::Message, "/"));
    });
}
