//! A world that is on another node: this one follows it, and takes it over when its owner is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lakh_hub::Bytes;
use rustc_hash::FxHashMap;
use tokio::time::sleep;

use super::lease::{self, LOOK, Lease, Owner, SILENT_LOOKS};
use super::words::{Stayed, Ticked, Word};
use crate::engine::relay::Mirror;
use crate::engine::schema::Layout;
use crate::engine::view::View;
use crate::play::{Core, Live, News, restored};

/// A guest that says nothing for so long is gone, and so are the connections of its people.
const SILENT: Duration = Duration::from_secs(4);
/// How often a guest says that it's there.
const HELLO: Duration = Duration::from_secs(1);

/// What a guest knows of a world.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) owner: Arc<str>,
    mirror: Mirror,
    stays: FxHashMap<String, Stayed>,
    /// It has to be told all of it.
    anew: bool,
    /// What this node had when it was the owner last, if it has not heard of another one since.
    pub(crate) former: Option<Former>,
}

/// A world that this node had, and its word.
#[derive(Debug)]
pub(crate) struct Former {
    pub(crate) core: Box<Core>,
    pub(crate) word: Option<Bytes>,
}

impl Guest {
    pub(crate) fn new(layout: &Arc<Layout>, owner: &str) -> Self {
        Self {
            owner: owner.into(),
            mirror: Mirror::new(Arc::clone(layout)),
            stays: FxHashMap::default(),
            anew: true,
            former: None,
        }
    }

    fn hear(&mut self, news: &[News]) {
        for one in news {
            match one {
                News::Stay(stayed) => {
                    self.stays.insert(stayed.session.clone(), stayed.clone());
                }
                News::Ended { session } => {
                    self.stays.remove(session);
                }
                News::Moved { .. } | News::Gone { .. } | News::Groups { .. } => {}
            }
        }
    }

    /// Takes a tick; what is to be shown of it.
    fn take(&mut self, told: &Ticked, bytes: &[u8]) -> Option<Arc<View>> {
        match self.mirror.apply(bytes) {
            Ok(view) => {
                self.former = None;
                if let Some(stays) = &told.stays {
                    let all = stays.iter();
                    self.stays = all
                        .map(|stayed| (stayed.session.clone(), stayed.clone()))
                        .collect();
                    self.anew = false;
                }
                self.hear(&told.news);
                Some(view)
            }
            Err(error) => {
                tracing::debug!(%error, "a tick of another node was not taken");
                self.anew = true;
                None
            }
        }
    }
}

impl Live {
    /// A tick has come from the owner. On the world's own loop.
    pub(crate) fn mirrored(self: &Arc<Self>, mut told: Ticked, bytes: &[u8]) {
        let taken = self.as_guest(|guest| guest.take(&told, bytes));
        let Some(view) = taken.flatten() else {
            return;
        };
        self.far_entities.store(told.entities, Ordering::Relaxed);
        let mut news = std::mem::take(&mut told.news);
        if let Some(stays) = &told.stays {
            news.extend(self.missed(stays));
        }
        self.ticked(view.tick(), view.pace());
        self.show(&view, &Arc::from(news));
    }

    /// What clients here must learn of all who are in, when something may have been lost.
    fn missed(&self, stays: &[Stayed]) -> Vec<News> {
        let of = |session: &str| stays.iter().find(|stayed| stayed.session == session);
        let mut news = Vec::new();
        let new = self
            .tick()
            .saturating_sub(2 * u32::from(self.plan.schema.hz));
        for (session, came) in self.sessions() {
            match of(&session) {
                // Who has just come in may be too new for it.
                None if came < new => news.push(News::Gone {
                    session: session.to_string(),
                    reason: "removed".to_owned(),
                }),
                None => {}
                Some(stayed) => {
                    if let Some(person) = &stayed.person {
                        let (person, groups) = (person.clone(), stayed.groups.clone());
                        news.push(News::Groups { person, groups });
                    }
                }
            }
        }
        news
    }

    /// A guest says that it's there.
    pub(crate) fn greet(&self, node: &str, anew: bool) {
        let mut guests = self.guests.lock();
        let guest = guests.entry(node.into()).or_default();
        guest.heard = Some(self.worlds.clock());
        if anew {
            guest.source.start_over();
            guest.is_new = true;
        }
    }

    /// Tells each guest of a tick.
    pub(crate) fn tell_guests(&self, view: &View, news: &[News]) {
        let Some(fleet) = &self.worlds.0.fleet else {
            return;
        };
        let mut guests = self.guests.lock();
        if guests.is_empty() {
            return;
        }
        let is_new = guests.values().any(|guest| guest.is_new);
        let (entities, stays) = self
            .with_core(|core| (core.entities(), is_new.then(|| core.all_stays())))
            .unwrap_or_default();
        for (node, guest) in guests.iter_mut() {
            let mut bytes = Vec::new();
            if !guest.source.compose(view, &mut bytes) {
                continue;
            }
            let anew = std::mem::take(&mut guest.is_new);
            let word = Word::Tick(Ticked {
                world: self.name.to_string(),
                entities,
                news: news.to_vec(),
                stays: stays.clone().filter(|_| anew),
            });
            fleet.tell(node, &word, &bytes);
        }
    }

    /// Guests of which nothing is heard are gone; so are the connections of their people.
    pub(crate) fn forget_silent(&self, now_ms: u64) {
        let Some(fleet) = &self.worlds.0.fleet else {
            return;
        };
        let heard: Vec<Arc<str>> = {
            let mut guests = self.guests.lock();
            let now = self.worlds.clock();
            guests.retain(|_, guest| {
                guest
                    .heard
                    .is_some_and(|heard| now.saturating_sub(heard) < SILENT)
            });
            guests.keys().cloned().collect()
        };
        self.with_core(|core| {
            core.keep_nodes(
                |node| *node == **fleet.node() || heard.iter().any(|other| **other == *node),
                now_ms,
            );
        });
    }
}

/// Follows a world until it's this node's, or nobody here is in it any more. `None`: that.
pub(crate) async fn follow(live: &Arc<Live>) -> Option<Arc<Lease>> {
    let period = Duration::from_secs(1) / u32::from(live.plan.schema.hz.max(1));
    let begun = live.worlds.clock();
    let (mut look_at, mut hello_at) = (begun, begun);
    let (mut seen, mut moves) = ((0, 0), Vec::new());
    let mut empty_since = begun;
    let rest = Duration::from_millis(live.worlds.0.config.rest_ms);
    while !live.ended.load(Ordering::Acquire) {
        sleep(period).await;
        live.send_moves(&mut moves);
        let now = live.worlds.clock();
        if now >= look_at {
            look_at = now + LOOK;
            if let Some(lease) = look(live, &mut seen).await {
                return Some(lease);
            }
        }
        if now >= hello_at
            || live.as_guest(|guest| guest.anew) == Some(true) && now + HELLO * 3 / 4 >= hello_at
        {
            hello_at = now + HELLO;
            live.say_hello();
        }
        if live.people() > 0 {
            empty_since = now;
        } else if now - empty_since >= rest && live.worlds.0.registry.lay_to_rest(live) {
            break;
        }
    }
    live.say_bye();
    None
}

/// Looks who the owner is; it's this node if the former one is gone.
async fn look(live: &Arc<Live>, seen: &mut (u64, u32)) -> Option<Arc<Lease>> {
    let silent = (seen.1 >= SILENT_LOOKS).then_some(seen.0);
    let own = live.as_guest(|guest| guest.former.as_ref()?.word.clone());
    match lease::look(&live.worlds, &live.name, silent, own.flatten().as_ref()).await {
        Ok(Owner::Here(lease)) => return Some(lease),
        Ok(Owner::There { node, version }) => {
            *seen = match seen.0 == version {
                true => (version, seen.1 + 1),
                false => (version, 0),
            };
            live.as_guest(|guest| {
                if *guest.owner != *node {
                    guest.owner = node.as_str().into();
                    guest.anew = true;
                }
            });
        }
        Err(failure) => {
            tracing::debug!(
                reason = failure.message,
                "who has a world can't be looked at"
            );
        }
    }
    None
}

impl Live {
    fn send_moves(&self, moves: &mut Vec<crate::play::Move>) {
        moves.clear();
        self.take_moves(moves);
        let owner = self.as_guest(|guest| Arc::clone(&guest.owner));
        if let (Some(fleet), Some(owner)) = (&self.worlds.0.fleet, owner)
            && !moves.is_empty()
        {
            let word = Word::Moves {
                world: self.name.to_string(),
                moves: std::mem::take(moves),
            };
            fleet.tell(&owner, &word, &[]);
        }
    }

    fn say_hello(&self) {
        let known = self.as_guest(|guest| (Arc::clone(&guest.owner), guest.anew));
        if let (Some(fleet), Some((owner, anew))) = (&self.worlds.0.fleet, known) {
            let word = Word::Hello {
                world: self.name.to_string(),
                from: fleet.node().to_string(),
                anew,
            };
            fleet.tell(&owner, &word, &[]);
        }
    }

    fn say_bye(&self) {
        let owner = self.as_guest(|guest| Arc::clone(&guest.owner));
        if let (Some(fleet), Some(owner)) = (&self.worlds.0.fleet, owner) {
            let word = Word::Bye {
                world: self.name.to_string(),
                from: fleet.node().to_string(),
            };
            fleet.tell(&owner, &word, &[]);
        }
    }

    /// The world is this node's from now on: what lasts comes from the store, who is in it and where from what was mirrored.
    ///
    /// # Errors
    /// If the store can't be read.
    pub(crate) async fn inherit(self: &Arc<Self>, lease: &Lease) -> Result<(), lakh_hub::Failure> {
        if let Some(former) = self.as_guest(|guest| guest.former.take()).flatten() {
            // Nobody has had it meanwhile: guests that are still there say so.
            self.become_owner(former.core);
            return Ok(());
        }
        let mut core = restored(&self.worlds, &self.name, Arc::clone(&self.plan)).await?;
        let known = self.as_guest(|guest| {
            let stays: Vec<Stayed> = guest.stays.values().cloned().collect();
            (guest.mirror.view(), stays, Arc::clone(&guest.owner))
        });
        let Some((view, stays, former)) = known else {
            return Ok(());
        };
        // Time goes on for those who were told of later ticks than this node was.
        let hz = u32::from(self.plan.schema.hz);
        core.begin(lease.epoch, self.tick() + 2 * hz);
        let now_ms = self.worlds.now_ms();
        if let Some(view) = view {
            revive(&mut core, &view, stays, &former, now_ms);
        }
        {
            let mut guests = self.guests.lock();
            guests.clear();
            // They have yet to learn whose guests they are.
            for node in core.nodes() {
                guests.entry(node.as_str().into()).or_default().heard = Some(self.worlds.clock());
            }
            if let Some(fleet) = &self.worlds.0.fleet {
                guests.remove(&**fleet.node());
                guests.remove(&*former);
            }
            guests.values_mut().for_each(|guest| guest.is_new = true);
        }
        self.become_owner(Box::new(core));
        tracing::info!(world = &*self.name, "a world is taken over from {former}");
        Ok(())
    }
}

/// Puts back who was in, where they were seen last.
fn revive(core: &mut Core, view: &View, stays: Vec<Stayed>, former: &str, now_ms: u64) {
    let mut found = view.entities();
    let mut stays = stays;
    // The lowest places first: see `World::restore`.
    stays.sort_by_key(|stayed| stayed.entity.map(|id| crate::EntityId(id).place()));
    for stayed in stays {
        let entity = stayed.entity.and_then(|entity| found.remove(&entity));
        core.revive(&stayed, entity, former, now_ms);
    }
}
