//! What a message answers, as it is now: a quote says no more than the quoted message does, whatever that said before.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lakh_hub::Failure;

use super::change::{self, At};
use super::{excerpt, gone, view};
use crate::Chat;
use crate::shapes::{Message, Quote, Said};

/// What a message says that another is to answer, in the same room or thread.
///
/// # Errors
/// `not_found` if there is none, or none any more; `unavailable`.
pub(super) async fn of(
    chat: &Chat,
    room: &str,
    thread: Option<u64>,
    seq: u64,
) -> Result<Quote, Failure> {
    let quoted = change::read(chat, At { room, thread, seq }, &[]).await?;
    if quoted.is_deleted() {
        return Err(gone(seq));
    }
    Ok(Quote {
        seq,
        from: Some(quoted.said.from),
        text: excerpt(&quoted.said.text),
        deleted: false,
    })
}

/// What the log keeps of what was said: of a quote where it is.
pub(super) fn stored(said: &Said) -> Cow<'_, Said> {
    let Some(quote) = &said.reply_to else {
        return Cow::Borrowed(said);
    };
    Cow::Owned(Said {
        reply_to: Some(Quote {
            seq: quote.seq,
            ..Quote::default()
        }),
        ..said.clone()
    })
}

/// Has messages that answer others quote what those say now. Costs a read if there are any.
pub(crate) async fn fill<'a>(
    chat: &Chat,
    messages: impl IntoIterator<Item = &'a mut Message>,
) -> Result<(), Failure> {
    let messages = messages.into_iter();
    let mut answering: Vec<&mut Message> = messages
        .filter(|message| message.said.reply_to.is_some())
        .collect();
    if answering.is_empty() {
        return Ok(());
    }
    let which: Vec<At<'_>> = answering.iter().filter_map(|message| at(message)).collect();
    let quoted = view::read_all(chat, &which).await?;
    let quoted: BTreeMap<_, _> = quoted
        .iter()
        .map(|message| {
            (
                (message.room.as_str(), message.thread, message.seq),
                message,
            )
        })
        .collect();
    for message in &mut answering {
        let found = at(message).and_then(|at| quoted.get(&(at.room, at.thread, at.seq)));
        let quote = found.map(|quoted| now(quoted));
        if let Some(before) = &mut message.said.reply_to {
            *before = quote.unwrap_or(Quote {
                seq: before.seq,
                deleted: true,
                ..Quote::default()
            });
        }
    }
    Ok(())
}

/// Where the message is that this one answers.
fn at(message: &Message) -> Option<At<'_>> {
    let quote = message.said.reply_to.as_ref()?;
    Some(At {
        room: &message.room,
        thread: message.thread,
        seq: quote.seq,
    })
}

fn now(quoted: &Message) -> Quote {
    Quote {
        seq: quoted.seq,
        from: Some(quoted.said.from.clone()),
        text: excerpt(&quoted.said.text),
        deleted: quoted.overlay.deleted.is_some(),
    }
}
