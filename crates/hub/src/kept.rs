//! What a socket has that most sockets don't. It's apart from the socket, so that it takes no room where it isn't.

use std::any::{Any, TypeId};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::handler::Handler;
use crate::namespace::CloseHook;

/// Values of a socket by their type. Shared with the session record, so that a recovered socket has them again.
pub(crate) type Extensions = Arc<Mutex<FxHashMap<TypeId, Arc<dyn Any + Send + Sync>>>>;

/// What users keep with a socket. Most keep nothing, so it takes no room until they do.
#[derive(Default)]
pub(crate) struct Kept {
    pub data: Option<Value>,
    pub extensions: Option<Extensions>,
    pub own: Option<Box<OwnHandlers>>,
}

impl Kept {
    /// The value of this type that was kept.
    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let extensions = self.extensions.clone()?;
        let value = extensions.lock().get(&TypeId::of::<T>()).cloned();
        value?.downcast().ok()
    }
}

impl Clone for Kept {
    /// As a session record keeps it, without the handlers.
    fn clone(&self) -> Self {
        Self {
            data: self.data.clone(),
            extensions: self.extensions.clone(),
            own: None,
        }
    }
}

/// What only some clients say when they come.
#[derive(Default)]
pub(crate) struct Said {
    /// Clients of protocol version 3 know their id as `/namespace#session`.
    pub alias: Option<Box<str>>,
    pub auth: Option<Box<str>>,
}

/// Handlers that one socket has for itself.
#[derive(Default)]
pub(crate) struct OwnHandlers {
    pub on: FxHashMap<Box<str>, (Handler, bool)>,
    pub disconnecting: Vec<CloseHook>,
    pub disconnect: Vec<CloseHook>,
}
