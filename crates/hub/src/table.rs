//! The table of a module's requests.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::request::Failure;

/// A module's requests, by name: on its namespace for sockets, and for backends through `Module::call`.
///
/// A request is `async fn(&Module, &Asker, Request) -> Result<Answer, Failure>`; a line of the table is all that sockets and
/// HTTP need. `Module` is a handle whose `.0` has a `namespace`, and `counters` with `answered(place, &result)`; `Asker` has
/// `of(&Socket) -> Result<Asker, Failure>`. With `bare: true` a client may leave the object of a request out.
///
/// Gives `REQUESTS`, `install(&Module)` and `Module::call`.
#[macro_export]
macro_rules! requests {
    ($module:ident as $called:literal, $asker:ident, bare: $bare:literal;
     $($name:literal => $handler:path),+ $(,)?) => {
        /// The names of all requests.
        pub const REQUESTS: &[&str] = &[$($name),+];

        /// Where a request stands among [`REQUESTS`].
        fn place(name: &str) -> usize {
            let place = REQUESTS.iter().position(|other| *other == name);
            place.unwrap_or(REQUESTS.len())
        }

        pub(crate) fn install(installed: &$module) {
            let namespace = &installed.0.namespace;
            $({
                let (module, place) = (installed.clone(), place($name));
                // The request is taken out of its wrapper here and not within: kept as a whole across the await it made the
                // future of a chat message 8 KB to copy, 13 % of its instructions.
                namespace.on_request(
                    $name,
                    async move |socket: $crate::Socket, $crate::Fields(request): $crate::Fields<_, $bare>| {
                        let answer = match $asker::of(&socket) {
                            Ok(asker) => $handler(&module, &asker, request).await,
                            Err(failure) => Err(failure),
                        };
                        module.0.counters.answered(place, &answer);
                        answer
                    },
                );
            })+
            namespace.refuse_other_requests();
        }

        impl $module {
            /// Answers a request as if whoever asks had sent it over a socket: `request` is its object as JSON, and what comes
            /// back is the answer's object, without `ok`.
            ///
            /// # Errors
            /// What a socket would be answered; `not_found` for a name that no request has.
            pub async fn call(
                &self,
                asker: &$asker,
                name: &str,
                request: &str,
            ) -> Result<Box<serde_json::value::RawValue>, $crate::Failure> {
                match name {
                    $($name => {
                        let answer = $handler(self, asker, $crate::read_object(request)?).await;
                        self.0.counters.answered(place($name), &answer);
                        $crate::write_object(&answer?)
                    })+
                    _ => Err($crate::Failure::new(
                        "not_found",
                        format!(concat!($called, " has no request `{}`"), name),
                    )),
                }
            }
        }
    };
}

/// Writes an answer for a backend.
///
/// # Errors
/// `internal`; it's logged.
pub fn write_object(answer: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(answer).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Failure::new("internal", "the answer could not be written")
    })
}
