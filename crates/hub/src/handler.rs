//! Handlers of events: async functions of the socket, the arguments and the acknowledgement.
//!
//! Handlers of one socket start in the order in which its events came. A handler that doesn't wait is done before the
//! next one starts; one that awaits goes on beside the others, on the same loop, as in Node.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::ack::Ack;
use crate::args::ArgsError;
use crate::event::{EventRef, FromEvent};
use crate::socket::Socket;

/// A future on its loop. It never leaves its thread, so it need not be `Send`.
pub(crate) type LocalFuture<T = ()> = Pin<Box<dyn Future<Output = T>>>;

type Call = dyn Fn(&Socket, &EventRef<'_>) -> Result<LocalFuture, ArgsError> + Send + Sync;

/// A handler with its argument types forgotten.
#[derive(Clone)]
pub struct Handler(Arc<Call>);

impl Handler {
    /// From a function that starts the work of one event.
    pub(crate) fn new(
        call: impl Fn(&Socket, &EventRef<'_>) -> Result<LocalFuture, ArgsError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn call(
        &self,
        socket: &Socket,
        event: &EventRef<'_>,
    ) -> Result<LocalFuture, ArgsError> {
        (self.0)(socket, event)
    }
}

/// What `on` takes: `async |socket|`, `async |socket, args|` or `async |socket, args, ack|`, where `args` is anything
/// that [`FromEvent`] reads.
pub trait IntoHandler<Marker> {
    /// Forgets the types.
    fn into_handler(self) -> Handler;
}

impl<F> IntoHandler<()> for F
where
    F: AsyncFn(Socket) + Send + Sync + 'static,
{
    fn into_handler(self) -> Handler {
        let handler = Arc::new(self);
        Handler::new(move |socket, _| {
            let (handler, socket) = (Arc::clone(&handler), socket.clone());
            Ok(Box::pin(async move { handler(socket).await }))
        })
    }
}

impl<F, T> IntoHandler<(T,)> for F
where
    F: AsyncFn(Socket, T) + Send + Sync + 'static,
    T: FromEvent + 'static,
{
    fn into_handler(self) -> Handler {
        let handler = Arc::new(self);
        Handler::new(move |socket, event| {
            let args = T::from_event(socket, event)?;
            let (handler, socket) = (Arc::clone(&handler), socket.clone());
            Ok(Box::pin(async move { handler(socket, args).await }))
        })
    }
}

impl<F, T> IntoHandler<(T, Ack)> for F
where
    F: AsyncFn(Socket, T, Ack) + Send + Sync + 'static,
    T: FromEvent + 'static,
{
    fn into_handler(self) -> Handler {
        let handler = Arc::new(self);
        Handler::new(move |socket, event| {
            let args = T::from_event(socket, event)?;
            let ack = Ack {
                socket: socket.clone(),
                id: event.ack,
            };
            let (handler, socket) = (Arc::clone(&handler), socket.clone());
            Ok(Box::pin(async move { handler(socket, args, ack).await }))
        })
    }
}
