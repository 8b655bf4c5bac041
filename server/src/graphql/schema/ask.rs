//! Queries.

use async_graphql::{Context, Object, Result};

use super::types::{Long, Node, Nodes, PersonPresent, RoomPresence, Rooms, Socket, Sockets, long};
use super::{asked, error};
use crate::service::rooms::{PresencePage, RoomFilter};
use crate::service::sockets::SocketFilter;

/// Entries of a page when no number is named, for what a request costs.
const PAGE: i32 = 50;

/// What can be asked.
#[derive(Debug)]
pub(crate) struct Query;

/// A room by name. One that nobody is in is a room all the same.
pub(super) struct Room {
    pub namespace: String,
    pub room: String,
    /// How many are in it, where that was told with its name.
    pub known: Option<usize>,
}

#[Object]
impl Query {
    /// Sockets on all nodes, in the order of their ids.
    #[graphql(complexity = "page(limit) * child_complexity")]
    async fn sockets(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "root()")] namespace: String,
        #[graphql(desc = "Only those in this room.")] room: Option<String>,
        #[graphql(desc = "Only those of this person.")] person: Option<String>,
        #[graphql(desc = "Where the page before ended: its `next`.")] cursor: Option<String>,
        #[graphql(desc = "How many at most, 1 to 1000; 50 if it isn't given.")] limit: Option<i32>,
    ) -> Result<Sockets> {
        let (service, caller) = asked(context)?;
        let filter = SocketFilter {
            namespace,
            room,
            person,
            cursor,
            limit: limit.map(count),
        };
        let page = service.sockets(&caller, &filter).await.map_err(error)?;
        Ok(Sockets {
            sockets: page.sockets.into_iter().map(Socket).collect(),
            next: page.next,
            missing: page.missing.into(),
        })
    }

    /// One socket, whichever node it is on; null if there is none with this id.
    async fn socket(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "root()")] namespace: String,
        id: String,
    ) -> Result<Option<Socket>> {
        let (service, caller) = asked(context)?;
        match service.socket(&caller, &namespace, &id).await {
            Ok(socket) => Ok(Some(Socket(socket))),
            Err(problem) if problem.code == "not_found" => Ok(None),
            Err(problem) => Err(error(problem)),
        }
    }

    /// Rooms that have members on any node, in the order of their names.
    #[graphql(complexity = "page(limit) * child_complexity")]
    async fn rooms(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "root()")] namespace: String,
        #[graphql(default, desc = "Only those whose names begin so.")] prefix: String,
        #[graphql(desc = "Where the page before ended: its `next`.")] cursor: Option<String>,
        #[graphql(desc = "How many at most, 1 to 1000; 50 if it isn't given.")] limit: Option<i32>,
    ) -> Result<Rooms> {
        let (service, caller) = asked(context)?;
        let filter = RoomFilter {
            namespace,
            prefix,
            cursor,
            limit: limit.map(count),
        };
        let page = service.list_rooms(&caller, &filter).await.map_err(error)?;
        Ok(Rooms {
            rooms: page.rooms.into_iter().map(Room::from).collect(),
            next: page.next,
            missing: page.missing.into(),
        })
    }

    /// A room by name.
    async fn room(
        &self,
        #[graphql(default_with = "root()")] namespace: String,
        room: String,
    ) -> Room {
        Room {
            namespace,
            room,
            known: None,
        }
    }

    /// How the nodes are.
    async fn nodes(&self, context: &Context<'_>) -> Result<Nodes> {
        let (service, caller) = asked(context)?;
        let nodes = service.nodes(&caller).await.map_err(error)?;
        Ok(Nodes {
            nodes: nodes.nodes.into_iter().map(Node::from).collect(),
            answered_by: nodes.answered_by,
            missing: nodes.missing.into(),
        })
    }
}

#[Object]
impl Room {
    /// The namespace.
    async fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name that clients know.
    async fn room(&self) -> &str {
        &self.room
    }

    /// Sockets in it, on all nodes.
    #[graphql(complexity = 5)]
    async fn occupancy(&self, context: &Context<'_>) -> Result<Long> {
        if let Some(known) = self.known {
            return Ok(long(known));
        }
        let (service, caller) = asked(context)?;
        let room = service.room(&caller, &self.namespace, &self.room).await;
        Ok(long(room.map_err(error)?.occupancy))
    }

    /// Number of its last event, in rooms of `/`.
    #[graphql(complexity = 5)]
    async fn seq(&self, context: &Context<'_>) -> Result<Option<Long>> {
        let (service, caller) = asked(context)?;
        let room = service.room(&caller, &self.namespace, &self.room).await;
        Ok(room.map_err(error)?.seq.map(Long))
    }

    /// Who is in it.
    #[graphql(complexity = "20 + page(limit) * child_complexity")]
    async fn presence(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Where the page before ended: its `next`.")] cursor: Option<String>,
        #[graphql(desc = "How many people at most, 1 to 1000; 50 if it isn't given.")]
        limit: Option<i32>,
    ) -> Result<RoomPresence> {
        let (service, caller) = asked(context)?;
        let page = PresencePage {
            cursor,
            limit: limit.map(count),
        };
        let presence = service
            .presence(&caller, &self.namespace, &self.room, &page)
            .await
            .map_err(error)?;
        Ok(RoomPresence {
            occupancy: long(presence.occupancy),
            total: long(presence.people),
            people: presence
                .members
                .into_iter()
                .map(PersonPresent::from)
                .collect(),
            complete: presence.complete,
            next: presence.next,
            missing: presence.missing.into(),
        })
    }
}

pub(super) fn root() -> String {
    "/".to_owned()
}

/// A number out of range stays one.
fn count(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or(0)
}

/// What a page costs.
fn page(limit: Option<i32>) -> usize {
    count(limit.unwrap_or(PAGE).clamp(1, 1_000))
}
