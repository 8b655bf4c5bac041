//! The worlds at work on this node, and how one comes to work: from the store, or made by being entered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lakh_hub::Failure;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::core::Core;
use super::live::{Held, Live};
use super::make::{self, no_world};
use super::{plan, saving, tick};
use crate::Worlds;
use crate::fleet::lease::{self, Owner};

type Cell = Arc<OnceCell<Arc<Live>>>;

/// Worlds at work, by name.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<Box<str>, Cell>>);

impl Registry {
    /// How many are at work.
    pub(crate) fn at_work(&self) -> usize {
        self.0.lock().len()
    }

    /// All that are at work.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        let cells = self.0.lock();
        cells
            .values()
            .filter_map(|cell| cell.get().cloned())
            .collect()
    }

    /// A world that is at work, held.
    fn held(&self, name: &str) -> Option<Held> {
        let cells = self.0.lock();
        let live = cells.get(name)?.get()?;
        live.holds.fetch_add(1, Ordering::AcqRel);
        Some(Held(Arc::clone(live)))
    }

    fn cell(&self, name: &str, most: usize) -> Result<Cell, Failure> {
        let mut cells = self.0.lock();
        if let Some(cell) = cells.get(name) {
            return Ok(Arc::clone(cell));
        }
        if cells.len() >= most {
            return Err(Failure::new(
                "full",
                format!("{most} worlds are at work on this server; try again later"),
            ));
        }
        let cell = Cell::default();
        cells.insert(name.into(), Arc::clone(&cell));
        Ok(cell)
    }

    /// Forgets a world that could not be put to work, unless somebody else has done it meanwhile.
    fn forget(&self, name: &str, cell: &Cell) {
        let mut cells = self.0.lock();
        let this = cells.get(name);
        if this.is_some_and(|this| Arc::ptr_eq(this, cell) && this.get().is_none()) {
            cells.remove(name);
        }
    }

    /// Takes a world out that nobody holds; `false` if somebody does.
    pub(crate) fn lay_to_rest(&self, live: &Arc<Live>) -> bool {
        let mut cells = self.0.lock();
        if live.holds.load(Ordering::Acquire) > 0 || live.people() > 0 {
            return false;
        }
        live.ended.store(true, Ordering::Release);
        cells.remove(&live.name);
        true
    }

    /// Takes a world out that is no more.
    pub(crate) fn end(&self, name: &str) {
        if let Some(live) = self
            .0
            .lock()
            .remove(name)
            .and_then(|cell| cell.get().cloned())
        {
            live.ended.store(true, Ordering::Release);
        }
    }
}

/// A world, put to work if it isn't. It stays so for as long as it's held.
///
/// # Errors
/// `not_found` if there is none and none is made; `full`; `unavailable`.
pub(crate) async fn open(worlds: &Worlds, name: &str) -> Result<Held, Failure> {
    plan::check_name(name)?;
    let registry = &worlds.0.registry;
    loop {
        if let Some(held) = registry.held(name) {
            return Ok(held);
        }
        let cell = registry.cell(name, worlds.0.config.max_worlds)?;
        let begun = cell.get_or_try_init(|| begin(worlds, name)).await;
        if let Err(failure) = begun {
            registry.forget(name, &cell);
            return Err(failure);
        }
    }
}

/// A world that is at work here, held.
///
/// # Errors
/// `not_found`.
pub(crate) fn at_work(worlds: &Worlds, name: &str) -> Result<Held, Failure> {
    worlds.0.registry.held(name).ok_or_else(no_world)
}

/// A world as the store has it, with nobody in it.
///
/// # Errors
/// `unavailable`.
pub(crate) async fn restored(
    worlds: &Worlds,
    name: &str,
    plan: plan::Shared,
) -> Result<Core, Failure> {
    let mut core = Core::new(plan, Arc::clone(&worlds.0.config))?;
    saving::restore(worlds, name, &mut core).await?;
    Ok(core)
}

async fn begin(worlds: &Worlds, name: &str) -> Result<Arc<Live>, Failure> {
    let plan = Arc::new(make::plan_of(worlds, name).await?);
    let owner = match &worlds.0.fleet {
        None => None,
        Some(_) => Some(lease::look(worlds, name, None, None).await?),
    };
    let (live, lease) = match owner {
        Some(Owner::There { node, .. }) => (Live::guest(worlds, name, plan, &node)?, None),
        Some(Owner::Here(lease)) => {
            let mut core = restored(worlds, name, plan).await?;
            core.begin(lease.epoch, 0);
            (Live::owner(worlds, name, core), Some(lease))
        }
        None => {
            let core = restored(worlds, name, plan).await?;
            (Live::owner(worlds, name, core), None)
        }
    };
    let live = Arc::new(live);
    tick::start(&live, lease)?;
    Ok(live)
}
