//! What is kept with a socket: values, and handlers and hooks of its own.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use serde_json::Value;

use super::Socket;
use crate::handler::{Handler, IntoHandler};
use crate::kept::{Extensions, Kept, OwnHandlers};
use crate::namespace::CloseHook;
use crate::pace::Pace;
use crate::request::Failure;

/// What a socket may still do, of each kind.
struct Allowance<K>(Mutex<Pace>, PhantomData<fn() -> K>);

impl<K> Default for Allowance<K> {
    fn default() -> Self {
        Self(Mutex::default(), PhantomData)
    }
}

impl Socket {
    /// Keeps a value with this socket, one of each type. A recovered socket has it again.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) {
        let extensions = self.extensions();
        let old = extensions.lock().insert(TypeId::of::<T>(), Arc::new(value));
        // Users' values are dropped outside the lock: they may do anything then.
        drop(old);
    }

    /// The value of this type that was kept.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.kept.lock().as_ref()?.get()
    }

    /// Takes one act of the kind `K` from an allowance of so many a second that is kept with this socket.
    ///
    /// # Errors
    /// `rate_limited`, with how long to wait.
    pub fn pace<K: 'static>(&self, per_second: u32) -> Result<(), Failure> {
        let allowance = self.get::<Allowance<K>>().unwrap_or_else(|| {
            self.insert(Allowance::<K>::default());
            // It's gone again only if the socket is.
            self.get().unwrap_or_default()
        });
        let taken = allowance
            .0
            .lock()
            .take(self.now_ms(), per_second, per_second);
        taken.map_err(|wait_ms| {
            Failure::new(
                "rate_limited",
                format!("{per_second} of these a second are allowed; wait {wait_ms} ms"),
            )
        })
    }

    pub(crate) fn extensions(&self) -> Extensions {
        let mut kept = self.0.kept.lock();
        let kept = kept.get_or_insert_default();
        Arc::clone(kept.extensions.get_or_insert_default())
    }

    /// Sets the JSON data that `fetch_sockets` shows to other parts of the server.
    pub fn set_data(&self, data: Value) {
        let old = self
            .0
            .kept
            .lock()
            .get_or_insert_default()
            .data
            .replace(data);
        drop(old);
        if self.0.hub.followed().is_some() && self.0.namespace.recovery.get().is_some() {
            self.act(|shard, socket| shard.record_changed(socket.0.key, false));
        }
    }

    /// The JSON data; null if none was set.
    #[must_use]
    pub fn data(&self) -> Value {
        self.data_if_set().unwrap_or_default()
    }

    pub(crate) fn data_if_set(&self) -> Option<Value> {
        let kept = self.0.kept.lock();
        kept.as_ref().and_then(|kept| kept.data.clone())
    }

    /// What the record of its session keeps for it. `shared`: values kept from now on are to be in the record, too.
    pub(crate) fn kept_for_record(&self, shared: bool) -> Option<Box<Kept>> {
        if shared {
            drop(self.extensions());
        }
        self.0.kept.lock().clone()
    }

    /// Handles an event of this socket alone, before the namespace's handler of that name. The namespace's own `on` is
    /// lighter: it costs nothing for each socket.
    pub fn on<M>(&self, event: &str, handler: impl IntoHandler<M>) {
        self.add(event, handler.into_handler(), false);
    }

    /// Handles an event once.
    pub fn once<M>(&self, event: &str, handler: impl IntoHandler<M>) {
        self.add(event, handler.into_handler(), true);
    }

    /// Handles an event no longer.
    pub fn off(&self, event: &str) {
        drop(self.change_own(|own| own.on.remove(event)));
    }

    fn add(&self, event: &str, handler: Handler, once: bool) {
        drop(self.change_own(|own| own.on.insert(event.into(), (handler, once))));
    }

    /// Changes the socket's own handlers, unless it's gone: they often hold the socket itself, and nothing would break
    /// that circle any more. What comes back is to be dropped outside the lock: users' values may do anything then.
    fn change_own<R>(&self, change: impl FnOnce(&mut OwnHandlers) -> R) -> Option<R> {
        let mut kept = self.0.kept.lock();
        if self.0.gone.load(Ordering::Acquire) {
            drop(kept);
            return None;
        }
        let own = &mut kept.get_or_insert_default().own;
        Some(change(own.get_or_insert_default()))
    }

    /// The socket's own handlers, taken for good.
    pub(crate) fn take_own(&self) -> Option<Box<OwnHandlers>> {
        let mut kept = self.0.kept.lock();
        self.0.gone.store(true, Ordering::Release);
        kept.as_mut()?.own.take()
    }

    /// Runs when this socket is about to go; its rooms are still there.
    pub fn on_disconnecting(&self, hook: impl Fn(lakh_wire::CloseReason) + Send + Sync + 'static) {
        let hook = sync_hook(hook);
        self.change_own(|own| own.disconnecting.push(hook));
    }

    /// Runs when this socket has gone.
    pub fn on_disconnect(&self, hook: impl Fn(lakh_wire::CloseReason) + Send + Sync + 'static) {
        let hook = sync_hook(hook);
        self.change_own(|own| own.disconnect.push(hook));
    }

    pub(crate) fn own_handler(&self, event: &str) -> Option<Handler> {
        let mut kept = self.0.kept.lock();
        let own = kept.as_mut()?.own.as_mut()?;
        let (handler, once) = own.on.get(event)?.clone();
        if once {
            own.on.remove(event);
        }
        Some(handler)
    }
}

fn sync_hook(hook: impl Fn(lakh_wire::CloseReason) + Send + Sync + 'static) -> CloseHook {
    let hook = Arc::new(hook);
    Arc::new(move |_, reason| {
        let hook = Arc::clone(&hook);
        // Not before it's polled: a panic must be caught where those of all handlers are.
        Box::pin(async move { hook(reason) })
    })
}
