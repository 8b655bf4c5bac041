//! Files in messages: bytes that come and go. What is known of them is the chat's, where they are is `lakh_files`'; this
//! brings the two together.
//!
//! What must hold: no file is in memory as a whole, and what is decoded at a time is bounded.

mod figures;
mod plan;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _};
use lakh_chat::{Adopted, Arrival, Arriving, Chat, Content, Small};
use lakh_files::picture::{self, Picture, PictureError};
use lakh_files::{ByteStream, Place, PlaceError, Spool, Spooled, kind};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

pub use figures::FileFigures;
pub use plan::{Plan, PlanError};

use crate::service::{Kind, Problem};

/// Files that arrive at a time.
const MOST_ARRIVING: usize = 64;
/// Pictures that are decoded at a time.
const MOST_PICTURES: usize = 2;
/// How long the next bytes of a file may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often what nobody needs is looked for.
const TIDY_EVERY: Duration = Duration::from_secs(20);
/// What is left of files that arrived when a process was killed is removed after this.
const LEFT_OVER: Duration = Duration::from_secs(24 * 3_600);
/// Rounds of tidying before others have their turn.
const ROUNDS: usize = 20;

/// Files of the chat. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    chat: Chat,
    place: Place,
    spool: Spool,
    max_pixels: u64,
    arriving: Semaphore,
    pictures: Arc<Semaphore>,
    now_ms: fn() -> u64,
    counters: figures::Counters,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("place", &self.0.place)
            .finish_non_exhaustive()
    }
}

/// A file that has arrived, and whether it had before.
pub struct Arrived {
    /// The file as messages show it.
    pub file: Value,
    /// Its bytes came with an earlier request.
    pub again: bool,
}

impl Files {
    /// Files of a chat, where the plan says.
    ///
    /// # Errors
    /// If what they are kept in can't be used at all.
    pub fn new(chat: Chat, plan: &Plan, now_ms: fn() -> u64) -> Result<Self, PlanError> {
        Ok(Self(Arc::new(Inner {
            chat,
            place: plan.place()?,
            spool: plan.spool(),
            max_pixels: plan.max_pixels,
            arriving: Semaphore::new(MOST_ARRIVING),
            pictures: Arc::new(Semaphore::new(MOST_PICTURES)),
            now_ms,
            counters: figures::Counters::default(),
        })))
    }

    /// The chat that they belong to.
    #[must_use]
    pub fn chat(&self) -> &Chat {
        &self.0.chat
    }

    /// What has come and gone since the start.
    #[must_use]
    pub fn figures(&self) -> FileFigures {
        self.0.counters.figures()
    }

    /// Takes a file's bytes as they come. `length` is how many are said to come.
    ///
    /// # Errors
    /// [`Problem`]; then nothing is left of them.
    pub async fn receive<S, E>(
        &self,
        way: (&str, &str),
        length: Option<u64>,
        bytes: S,
    ) -> Result<Arrived, Problem>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let received = self.try_to_receive(way, length, bytes).await;
        self.0.counters.received(&received);
        received
    }

    async fn try_to_receive<S, E>(
        &self,
        (id, secret): (&str, &str),
        length: Option<u64>,
        bytes: S,
    ) -> Result<Arrived, Problem>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let arriving = match self.0.chat.arriving(id, secret).await? {
            Arrival::Come(file) => return Ok(Arrived { file, again: true }),
            Arrival::Awaited(arriving) => arriving,
        };
        if let Some(length) = length
            && length != arriving.size
        {
            return Err(other_size(&arriving, length > arriving.size));
        }
        let _turn = self.0.arriving.try_acquire().map_err(|_| {
            Problem::unavailable("too many files arrive at once; send it again in a moment")
        })?;
        let spooled = self.spool(&arriving, bytes).await?;
        let content = self.look(&arriving, &spooled).await?;
        let file = self.keep(&arriving, spooled, content).await?;
        Ok(Arrived { file, again: false })
    }

    async fn spool<S, E>(&self, arriving: &Arriving, bytes: S) -> Result<Spooled, Problem>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let left_ms = arriving.until_ms.saturating_sub((self.0.now_ms)());
        let end = Instant::now() + Duration::from_millis(left_ms);
        let late = || {
            let message = "the file did not arrive in time; ask for another upload";
            Problem::new(Kind::Timeout, "timeout", message)
        };
        let mut writing = self.0.spool.begin().await.map_err(|error| disk(&error))?;
        let mut bytes = pin!(bytes);
        loop {
            let next = timeout_at(end, timeout(PATIENCE, bytes.next())).await;
            let Ok(Ok(next)) = next else {
                return Err(late());
            };
            let Some(part) = next else { break };
            let part = part.map_err(|_| Problem::bad("the file was cut off; send it again"))?;
            if writing.size() + part.len() as u64 > arriving.size {
                return Err(other_size(arriving, true));
            }
            writing.write(part).await.map_err(|error| disk(&error))?;
        }
        if writing.size() != arriving.size {
            return Err(other_size(arriving, false));
        }
        writing.finish().await.map_err(|error| disk(&error))
    }

    /// What it is, and what it looks like.
    async fn look(&self, arriving: &Arriving, spooled: &Spooled) -> Result<Looked, Problem> {
        let kind = kind::settle(&arriving.kind, &spooled.head);
        let kind = kind.map_err(|error| unlike("type_mismatch", error.to_string()))?;
        if !picture::is_known(&kind) {
            return Ok(Looked {
                kind,
                picture: None,
            });
        }
        let turn = Arc::clone(&self.0.pictures).acquire_owned().await;
        let (path, most, of) = (spooled.path().to_owned(), self.0.max_pixels, kind.clone());
        let looking = tokio::task::spawn_blocking(move || {
            // Until it's done, whether somebody waits for it or not.
            let _turn = turn;
            picture::look(&path, &of, most)
        });
        let looked = looking.await.map_err(|error| {
            tracing::warn!(%error, "a picture could not be looked at");
            unlike("bad_picture", "the picture can't be read")
        })?;
        let picture = looked.map_err(|error| match error {
            PictureError::TooLarge { .. } => {
                Problem::new(Kind::TooLarge, "too_large", error.to_string())
            }
            PictureError::Broken(_) => unlike("bad_picture", error.to_string()),
            PictureError::File(error) => disk(&error),
        })?;
        Ok(Looked { kind, picture })
    }

    async fn keep(
        &self,
        arriving: &Arriving,
        spooled: Spooled,
        looked: Looked,
    ) -> Result<Value, Problem> {
        let chat = &self.0.chat;
        let (sides, small) = match looked.picture {
            Some(picture) => (Some((picture.width, picture.height)), picture.small),
            None => (None, None),
        };
        let content = Content {
            hash: spooled.hash.clone(),
            kind: looked.kind,
            sides,
            small: small.as_ref().map(|small| Small {
                kind: small.kind.to_owned(),
                size: small.bytes.len() as u64,
            }),
        };
        let (key, until_ms) = match chat.adopt(arriving, &content).await? {
            Adopted::Done(file) => return Ok(file),
            Adopted::Keep { key, until_ms } => (key, until_ms),
        };
        if let Some(small) = small {
            let small = self.0.spool.put(small.bytes.into()).await;
            let small = small.map_err(|error| disk(&error))?;
            let small_key = Chat::small_key(&key);
            let kept = self.0.place.keep(&small_key, small.path()).await;
            kept.map_err(|error| not_kept(&error))?;
        }
        let kept = self.0.place.keep(&key, spooled.path()).await;
        kept.map_err(|error| not_kept(&error))?;
        Ok(chat
            .adopt_kept(arriving, &content, (&key, until_ms))
            .await?)
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// `unavailable`; `not_found` if they are gone.
    pub async fn read(
        &self,
        key: &str,
        range: std::ops::Range<u64>,
    ) -> Result<ByteStream, Problem> {
        let bytes = range.end.saturating_sub(range.start);
        let read = self.0.place.read(key, range).await;
        if read.is_ok() {
            self.0.counters.sent(bytes);
        }
        read.map_err(|error| {
            tracing::warn!(%error, key, "the bytes of a file can't be read");
            match error {
                PlaceError::Missing => Problem::not_found("the file is gone"),
                _ => Problem::unavailable("the file can't be read now; try again later"),
            }
        })
    }

    /// Lets go of what nobody needs, for as long as it is polled.
    pub async fn keep_tidy(self) -> Infallible {
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            if let Err(error) = self.tidy().await {
                tracing::warn!(%error, "files that nobody needs could not be removed; it is tried again");
            }
            if let Err(error) = self.0.spool.tidy(SystemTime::now(), LEFT_OVER).await {
                tracing::warn!(%error, "what is left of files that never arrived could not be removed");
            }
        }
    }

    async fn tidy(&self) -> Result<(), Problem> {
        for _ in 0..ROUNDS {
            let gone = self.0.chat.tidy_files().await?;
            if gone.is_empty() {
                return Ok(());
            }
            for due in gone {
                let key = Chat::key_of_due(&due);
                for key in [key, &Chat::small_key(key)] {
                    let removed = self.0.place.remove(key).await;
                    removed.map_err(|error| not_kept(&error))?;
                }
                self.0.chat.bytes_removed(&due).await?;
            }
        }
        Ok(())
    }
}

struct Looked {
    kind: String,
    picture: Option<Picture>,
}

fn other_size(arriving: &Arriving, is_more: bool) -> Problem {
    let size = arriving.size;
    match is_more {
        true => Problem::new(
            Kind::TooLarge,
            "too_large",
            format!("the file has more than the {size} bytes that were asked for"),
        ),
        false => Problem::bad(format!(
            "the file has fewer than the {size} bytes that were asked for; send it again"
        )),
    }
}

fn unlike(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(Kind::Unprocessable, code, message)
}

fn disk(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "a file that arrives can't be written");
    Problem::unavailable("the server can't write the file now; try again later")
}

fn not_kept(error: &PlaceError) -> Problem {
    tracing::error!(%error, "a file can't be kept or removed");
    Problem::unavailable("the server can't keep the file now; try again later")
}
