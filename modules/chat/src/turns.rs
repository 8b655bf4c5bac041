//! Turns: what is done to one message is done one after another on this node, so that it seldom has to be tried again.
//! Other nodes are met by the conditions of each write, whatever happens here. And what one person does in one room takes
//! turns where something has to be read for it: they asked in some order, and mean that.

use std::collections::HashMap;
use std::sync::Arc;

use lakh_hub::Failure;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most who wait for one message; past it, they are told to come back.
const MOST: usize = 2_000;

/// Whose turn it is, by what is changed. Something stands here as long as somebody changes it or waits to.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Box<str>, Place>>);

struct Place {
    one: Arc<Semaphore>,
    /// Those who wait, and the one whose turn it is.
    waiting: usize,
}

/// Somebody's turn. The next one has theirs when it's dropped.
pub(crate) struct Turn<'a> {
    _waiting: Waiting<'a>,
    _permit: Option<OwnedSemaphorePermit>,
}

struct Waiting<'a> {
    turns: &'a Turns,
    key: &'a str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut places = self.turns.0.lock();
        if let Some(place) = places.get_mut(self.key) {
            place.waiting -= 1;
            if place.waiting == 0 {
                places.remove(self.key);
            }
        }
    }
}

impl Turns {
    /// Whether nobody has or waits for a turn. The key is asked for only where somebody has one.
    pub(crate) fn is_free(&self, key: impl FnOnce() -> String) -> bool {
        let places = self.0.lock();
        places.is_empty() || !places.contains_key(&*key())
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// `unavailable` if too many wait for the same.
    pub(crate) async fn take<'a>(&'a self, key: &'a str) -> Result<Turn<'a>, Failure> {
        let one = {
            let mut places = self.0.lock();
            let place = places.entry(key.into()).or_insert_with(|| Place {
                one: Arc::new(Semaphore::new(1)),
                waiting: 0,
            });
            if place.waiting >= MOST {
                return Err(Failure::new(
                    "unavailable",
                    "too many do this at once; try again later",
                ));
            }
            place.waiting += 1;
            Arc::clone(&place.one)
        };
        // Whoever gives up while waiting is counted out, too. The permit is given back before that, by the order of fields.
        let waiting = Waiting { turns: self, key };
        // The semaphore is never closed.
        let permit = one.acquire_owned().await.ok();
        Ok(Turn {
            _permit: permit,
            _waiting: waiting,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_another_has_a_turn_and_nothing_is_left_behind() {
        let turns = Turns::default();
        assert!(turns.is_free(|| unreachable!("nobody has a turn")));
        let first = turns.take("a").await.expect("free");
        assert!(!turns.is_free(|| "a".to_owned()) && turns.is_free(|| "b".to_owned()));
        assert!(turns.take("b").await.is_ok(), "another key");
        {
            let mut second = std::pin::pin!(turns.take("a"));
            let waits = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(second.as_mut().poll(cx).is_pending())
            });
            assert!(waits.await);
            drop(first);
            assert!(second.await.is_ok());
        }
        assert!(turns.0.lock().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_is_counted_out() {
        let turns = Turns::default();
        let first = turns.take("a").await.expect("free");
        {
            let mut second = std::pin::pin!(turns.take("a"));
            std::future::poll_fn(|cx| {
                assert!(second.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            assert_eq!(turns.0.lock()["a"].waiting, 2);
        }
        assert_eq!(turns.0.lock()["a"].waiting, 1);
        drop(first);
        assert!(turns.0.lock().is_empty());
    }
}
