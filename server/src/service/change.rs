//! Moving sockets about from outside: into rooms, out of rooms, and off the server.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Caller, Thing, act};
use super::emit::{To, Whom, root};
use super::others::{MissingNodes, Question};
use super::problem::Problem;
use super::sockets::MAX_PAGE;
use super::{Service, names};

/// The event by which a client is told why it's disconnected, just before it is.
const GOODBYE: &str = "server:disconnect";
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 200;
/// Rooms that are joined or left by one request.
const MAX_ROOMS: usize = 100;

/// Sockets that are to join or leave rooms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The namespace.
    #[serde(default = "root")]
    #[schema(example = "/")]
    pub namespace: String,
    /// Which sockets: members of rooms, people, or sockets by their ids.
    pub whom: Whom,
    /// The rooms that they join or leave.
    #[schema(example = json!(["board:7"]))]
    pub rooms: Vec<String>,
}

/// Sockets that are to go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// The namespace.
    #[serde(default = "root")]
    #[schema(example = "/")]
    pub namespace: String,
    /// Members of these rooms.
    #[serde(default)]
    pub rooms: Vec<String>,
    /// All sockets of these people, by their ids.
    #[serde(default)]
    pub people: Vec<String>,
    /// These sockets, by their ids.
    #[serde(default)]
    pub sockets: Vec<String>,
    /// Everybody in the namespace; then nobody is named besides.
    #[serde(default)]
    pub all: bool,
    /// Not these.
    #[serde(default)]
    pub except: Whom,
    /// Whether the whole connection is closed, with its sockets in other namespaces. Stock clients don't come back by
    /// themselves, in either case.
    #[serde(default)]
    pub close: bool,
    /// Why, for the client: it gets the event `server:disconnect` with `{"reason"}` first.
    #[serde(default)]
    #[schema(example = "your account was closed")]
    pub reason: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moved {
    /// How many sockets it concerned, up to 1000. `null` where there were more, and in batches, where nobody counts.
    pub sockets: Option<usize>,
    /// Nodes that did not answer when they were counted; they were told to do it all the same.
    pub missing: MissingNodes,
}

impl Service {
    /// Makes sockets join rooms, on all nodes. Bounds on rooms hold; what a client may join itself is not asked.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn join(&self, caller: &Caller, change: &Move) -> Result<Moved, Problem> {
        self.join_counting(caller, change, true).await
    }

    pub(super) async fn join_counting(
        &self,
        caller: &Caller,
        change: &Move,
        counting: bool,
    ) -> Result<Moved, Problem> {
        let (to, rooms) = self.may_move(caller, act::JOIN, change)?;
        let moved = self.concerned(&to, counting).await?;
        self.operator(&to)?.sockets_join(rooms);
        Ok(moved)
    }

    /// Makes sockets leave rooms, on all nodes.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn leave(&self, caller: &Caller, change: &Move) -> Result<Moved, Problem> {
        self.leave_counting(caller, change, true).await
    }

    pub(super) async fn leave_counting(
        &self,
        caller: &Caller,
        change: &Move,
        counting: bool,
    ) -> Result<Moved, Problem> {
        let (to, rooms) = self.may_move(caller, act::LEAVE, change)?;
        let moved = self.concerned(&to, counting).await?;
        self.operator(&to)?.sockets_leave(rooms);
        Ok(moved)
    }

    /// Disconnects sockets, on all nodes.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn disconnect(
        &self,
        caller: &Caller,
        request: &Disconnect,
    ) -> Result<Moved, Problem> {
        self.disconnect_counting(caller, request, true).await
    }

    pub(super) async fn disconnect_counting(
        &self,
        caller: &Caller,
        request: &Disconnect,
        counting: bool,
    ) -> Result<Moved, Problem> {
        let to = To {
            namespace: request.namespace.clone(),
            rooms: request.rooms.clone(),
            people: request.people.clone(),
            sockets: request.sockets.clone(),
            all: request.all,
            except: request.except.clone(),
        };
        self.may_reach(caller, act::DISCONNECT, &to)?;
        let reason = request.reason.as_deref();
        if reason.is_some_and(|reason| reason.chars().nth(MAX_REASON_CHARS).is_some()) {
            return Err(Problem::bad(format!(
                "`reason` has up to {MAX_REASON_CHARS} characters"
            )));
        }
        let moved = self.concerned(&to, counting).await?;
        if let Some(reason) = reason {
            let goodbye = Question::Goodbye {
                to: to.clone(),
                reason: reason.to_owned(),
            };
            self.say_goodbye(&to, reason)?;
            // Each node says it to its own before anybody is disconnected.
            let patience = self.config().patience;
            self.ask_others::<bool>(&goodbye, patience).await?;
        }
        tracing::info!(
            by = caller.id(),
            namespace = to.namespace,
            sockets = moved.sockets,
            "sockets are disconnected"
        );
        self.operator(&to)?.disconnect_sockets(request.close);
        Ok(moved)
    }

    /// Tells sockets of this node why they are about to go. Volatile: nobody is to read it when they come back.
    pub(super) fn say_goodbye(&self, to: &To, reason: &str) -> Result<(), Problem> {
        let goodbye = self.operator(to)?.local().volatile();
        Ok(goodbye.emit(GOODBYE, &serde_json::json!({ "reason": reason }))?)
    }

    /// Who is to be moved where, if the caller may put sockets into these rooms or take them out.
    fn may_move(
        &self,
        caller: &Caller,
        act: &'static str,
        change: &Move,
    ) -> Result<(To, Vec<lakh_hub::Room>), Problem> {
        let namespace = &*change.namespace;
        if change.rooms.is_empty() || change.rooms.len() > MAX_ROOMS {
            return Err(Problem::bad(format!(
                "`rooms` names 1 to {MAX_ROOMS} rooms"
            )));
        }
        if change.whom.is_nobody() {
            return Err(Problem::bad(
                "say whom this is for: `rooms`, `people` or `sockets` in `whom`",
            ));
        }
        self.can_address(!change.whom.people.is_empty())?;
        for room in &change.rooms {
            self.allow(caller, act, Thing::Room(namespace, room))?;
        }
        let rooms = change.rooms.iter();
        let rooms = rooms.map(|room| names::hub_room(namespace, room));
        let to = To {
            namespace: namespace.to_owned(),
            rooms: change.whom.rooms.clone(),
            people: change.whom.people.clone(),
            sockets: change.whom.sockets.clone(),
            all: false,
            except: Whom::default(),
        };
        Ok((to, rooms.collect::<Result<_, _>>()?))
    }

    /// How many are concerned, as far as that can be said without a look at each.
    async fn concerned(&self, to: &To, counting: bool) -> Result<Moved, Problem> {
        self.namespace(&to.namespace)?;
        if !counting {
            return Ok(Moved {
                sockets: None,
                missing: MissingNodes::default(),
            });
        }
        let wanted = to.whom().wanted(&to.namespace, &to.except, MAX_PAGE + 1)?;
        let (count, missing) = self.count_everywhere(&wanted).await?;
        Ok(Moved {
            sockets: (count <= MAX_PAGE).then_some(count),
            missing,
        })
    }
}
