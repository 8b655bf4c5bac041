//! Queries: sockets, rooms and nodes.

use async_graphql::{Context, Object, Result};

use super::room::Room;
use super::types::{Node, NodeStats, Nodes, Rooms, Socket, Sockets};
use super::{asked, count, error, page, root};
use crate::http::{HttpState, stats};
use crate::service::rooms::RoomFilter;
use crate::service::sockets::SocketFilter;

/// What can be asked about who is connected.
#[derive(Debug, Default)]
pub(super) struct Ask;

#[Object]
impl Ask {
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

    /// The numbers of the node that is asked.
    async fn stats(&self, context: &Context<'_>) -> Result<NodeStats> {
        let (_, caller) = asked(context)?;
        let state = context.data::<HttpState>()?;
        let stats = stats::read(state, Ok(caller)).await.map_err(error)?;
        Ok(NodeStats::from(stats))
    }
}
