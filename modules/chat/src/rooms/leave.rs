//! `room:leave`.

use lakh_hub::{Attempts, Failure};

use super::enter::{put_out, stop_watching};
use crate::asker::Asker;
use crate::rooms::busy;
use crate::shapes::{InRoom, Nothing};
use crate::standing::{self, Standing};
use crate::{Chat, members, names};

pub(crate) async fn leave(chat: &Chat, asker: &Asker, request: InRoom) -> Result<Nothing, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    let left = become_guest(chat, asker, room).await;
    // Whatever becomes of that: this socket wants to hear no more.
    stop_watching(asker.socket(), room);
    left.map(|()| Nothing {})
}

async fn become_guest(chat: &Chat, asker: &Asker, room: &str) -> Result<(), Failure> {
    let mut attempts = Attempts::default();
    while attempts.another().await {
        let standing = standing::find(chat, asker, room).await?;
        let Some(standing) = standing.filter(Standing::is_member) else {
            return Ok(());
        };
        let leaving = members::Leaving {
            person: asker.who(),
            by: None,
        };
        if members::take_out(chat, room, &standing, leaving, Ok).await? {
            put_out(chat, asker.id(), room);
            return Ok(());
        }
    }
    Err(busy())
}
