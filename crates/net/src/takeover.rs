//! A WebSocket for a session that is there already: the loop that owns the session is asked, and gets the connection.

use std::io;
use std::rc::Rc;

use lakh_hub::Id;
use lakh_wire::engine::HandshakeError;
use tokio::sync::oneshot;

use crate::accept::Accepted;
use crate::event_loop::EventLoop;
use crate::shared::{Attach, Handed, Message};
use crate::stream::{Detached, Stream};

/// Asks the owner of a session whether a WebSocket may take it over. `false`: the session has a WebSocket already, or
/// one is on its way; as in Node, the newcomer is let in and closed again.
pub(crate) async fn ask_to_probe(lp: &Rc<EventLoop>, sid: Id) -> Result<bool, HandshakeError> {
    if sid.shard() >= lp.shared.inboxes.len() {
        return Err(HandshakeError::UnknownSid);
    }
    let (reply, answer) = oneshot::channel();
    lp.send(sid.shard(), Message::Probe { sid, reply }).await;
    match answer.await.unwrap_or(Err(HandshakeError::UnknownSid)) {
        Ok(()) => Ok(true),
        Err(HandshakeError::UnknownSid) => Err(HandshakeError::UnknownSid),
        Err(_) => Ok(false),
    }
}

/// Hands a WebSocket to the loop that owns its session.
pub(crate) async fn attach(
    lp: &Rc<EventLoop>,
    stream: Stream,
    sid: Id,
    early: Vec<u8>,
    preamble: Vec<u8>,
    deflate: bool,
) -> io::Result<()> {
    let owner = sid.shard();
    let stream = if owner == lp.index {
        Handed::Here(stream)
    } else {
        hand_over(stream)?
    };
    lp.send(
        owner,
        Message::Attach(Box::new(Attach {
            sid,
            stream,
            early,
            preamble,
            deflate,
        })),
    )
    .await;
    Ok(())
}

fn hand_over(stream: Stream) -> io::Result<Handed> {
    match stream.detach()? {
        Ok(detached) => Ok(Handed::Detached(detached)),
        Err(mut tls) => {
            // The TLS library can't be moved to another loop's epoll: this loop goes on with it, and the owner gets
            // the other end of a pair. Only upgrades over TLS with several loops come here.
            let (here, there) = tokio::net::UnixStream::pair()?;
            tokio::task::spawn_local(async move {
                let mut here = here;
                // Ends when either side does.
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut here).await;
            });
            Ok(Handed::Detached(Detached {
                accepted: Accepted::Unix(there.into_std()?),
                guard: None,
            }))
        }
    }
}
