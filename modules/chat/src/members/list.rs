//! `member:list`.

use lakh_hub::Failure;
use lakh_hub::store::Scan;
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::permissions::{Right, Role};
use crate::presence::{self, Status};
use crate::records::{self, MemberRecord};
use crate::{Chat, names, people, standing, stored};

/// Members in a page when the client names no number.
const PAGE: usize = 50;
/// Members in a page at most.
const MAX_PAGE: usize = 200;
/// Documents that are looked through for a page; where few have the role, it's short and has a cursor.
const LOOKED_AT: usize = 2_000;

#[derive(Deserialize)]
pub(crate) struct List {
    room: String,
    role: Option<Role>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// A member.
#[derive(Serialize)]
struct Listed {
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
    role: Role,
    /// Not of those who are only invited.
    #[serde(skip_serializing_if = "Option::is_none")]
    joined_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_by: Option<lakh_hub::Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_until: Option<u64>,
    online: bool,
    status: Status,
}

#[derive(Serialize)]
pub(crate) struct Members {
    members: Vec<Listed>,
    cursor: Option<String>,
}

pub(crate) async fn list(chat: &Chat, asker: &Asker, request: List) -> Result<Members, Failure> {
    let room = request.room.as_str();
    names::check_room(room)?;
    asker.allow("list", room)?;
    names::check_person_cursor(request.cursor.as_ref())?;
    let limit = request.limit.unwrap_or(PAGE).min(MAX_PAGE);
    if limit == 0 {
        return Err(Failure::bad_request(format!("limit is 1 to {MAX_PAGE}")));
    }
    let standing = standing::of(chat, asker, room).await?;
    standing.need_sight(chat)?;
    standing.need(chat, Right::SeeMembers)?;
    // Who is invited or muted is for those who may invite or mute.
    if request.role == Some(Role::Guest) && !standing.may(chat, Right::Mute) {
        standing.need(chat, Right::Invite)?;
    }
    let (found, cursor) = page(chat, room, request.role, request.cursor, limit).await?;
    let ids: Vec<String> = found.iter().map(|(id, _)| id.clone()).collect();
    let profiles = people::profiles(chat, &ids).await?;
    let now_ms = chat.now_ms();
    let mut members = Vec::with_capacity(found.len());
    for ((id, kept), profile) in found.into_iter().zip(profiles) {
        let status = presence::status(chat, &id);
        let online = presence::is_watching(chat, room, &id);
        let (name, picture) = match profile {
            Some(profile) => (profile.name, profile.picture),
            None => (kept.name, None),
        };
        members.push(Listed {
            id,
            name,
            picture,
            role: kept.role,
            joined_at: (kept.role > Role::Guest).then_some(kept.joined_at),
            invited_by: kept.invited_by,
            muted_until: kept.muted_until.filter(|until| *until > now_ms),
            online,
            status,
        });
    }
    Ok(Members { members, cursor })
}

async fn page(
    chat: &Chat,
    room: &str,
    role: Option<Role>,
    mut cursor: Option<String>,
    limit: usize,
) -> Result<(Vec<(String, MemberRecord)>, Option<String>), Failure> {
    let collection = names::members(room);
    let (mut found, mut looked_at) = (Vec::new(), 0);
    loop {
        let scan = Scan::default().limit(MAX_PAGE).after(cursor.take());
        let page = stored::scan(chat, &collection, scan).await?;
        looked_at += page.items.len();
        let mut items = page.items.into_iter().peekable();
        while let Some((id, document)) = items.next() {
            let kept: MemberRecord = records::read(&document)?;
            let fits = role.map_or(kept.role > Role::Guest, |role| kept.role == role);
            if fits {
                found.push((id.clone(), kept));
            }
            if found.len() == limit {
                let more = items.peek().is_some() || page.next.is_some();
                return Ok((found, more.then_some(id)));
            }
        }
        match page.next {
            Some(next) if looked_at < LOOKED_AT => cursor = Some(next),
            next => return Ok((found, next)),
        }
    }
}
