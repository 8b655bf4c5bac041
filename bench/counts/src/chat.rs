//! Messages of the chat, from the frame that asks for one to the answer, stored in memory.
//!
//! Such a store answers at once, so that a handler is done in its first step, and nothing here waits for a runtime. What
//! the module puts off for later (marks of who has read, news for those who are elsewhere) isn't counted.

use std::vec::IntoIter;

use lakh_chat::Config;
use lakh_hub::auth::Principal;
use lakh_hub::store::Store;
use lakh_hub::{ConnectError, LogLimits, Socket};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, yield_now};

use crate::cases::Round;
use crate::house::{House, client_frame};

/// Rounds for which there are messages; each has a key of its own.
const MOST_ROUNDS: usize = 40;
/// Steps in which whatever is under way comes to its end.
const STEPS: usize = 100;

/// Tasks have a place, though none has to run while something is counted.
struct Tasks {
    runtime: Runtime,
    local: LocalSet,
}

impl Tasks {
    fn new() -> Self {
        Self {
            // Without input and output it takes nothing that the system could refuse.
            runtime: Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime without input and output"),
            local: LocalSet::new(),
        }
    }

    fn within<R>(&self, work: impl FnOnce() -> R) -> R {
        let _runtime = self.runtime.enter();
        let _local = self.local.enter();
        work()
    }

    fn settle(&self) {
        self.local.block_on(&self.runtime, async {
            for _ in 0..STEPS {
                yield_now().await;
            }
        });
    }
}

/// Who comes is who they say.
async fn sign_in(socket: Socket) -> Result<Principal, ConnectError> {
    let said: serde_json::Value = socket.auth().unwrap_or_default();
    let name = said["name"].as_str().unwrap_or("nobody");
    Ok(Principal::person(name, name))
}

/// A turn in which members of a room, in turn, send so many messages to all of them.
pub(crate) fn messages(members: usize, count: usize) -> Round {
    let (mut house, tasks) = (House::default(), Tasks::new());
    let hub = house.hub.clone();
    let config = Config {
        messages_per_second: u32::MAX,
        // So small that it's full before anything is counted.
        recovery: Some(LogLimits {
            max_bytes: 2048,
            ..LogLimits::default()
        }),
        ..Config::default()
    };
    hub.of("/chat").use_sign_in(sign_in);
    let sessions: Vec<_> = tasks.within(|| {
        lakh_chat::install(&hub, Store::memory(), config);
        let join = client_frame(r#"42/chat,0["room:join",{"room":"room"}]"#);
        let mut join_as = |number| {
            let name = format!(r#"40/chat,{{"name":"u{number}"}}"#);
            let key = house.join(&client_frame(&name));
            house.feed(key, &join);
            key
        };
        (0..members).map(&mut join_as).collect()
    });
    tasks.settle();
    house.flush();
    let mut frames = frames(members, count);
    Box::new(move || {
        tasks.within(|| {
            for (member, frame) in frames.by_ref().take(count) {
                house.feed(sessions[member], &frame);
            }
            house.flush()
        })
    })
}

/// Who sends what.
fn frames(members: usize, count: usize) -> IntoIter<(usize, Vec<u8>)> {
    let text = "a message of sixty-four characters, as people write them in chat";
    let frame = |number: usize| {
        let send = format!(
            r#"42/chat,{}["message:send",{{"room":"room","key":"key-{number:08}","text":"{text}"}}]"#,
            number % 1000
        );
        (number % members, client_frame(&send))
    };
    let all: Vec<_> = (0..MOST_ROUNDS * count).map(frame).collect();
    all.into_iter()
}
