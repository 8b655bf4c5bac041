//! What was said in rooms.

use lakh_hub::Failure;

use crate::server_side::{HistoryPage, HistoryRange};
use crate::{Inner, names};

/// The events of a room that a range asks for.
pub(crate) async fn page(
    rooms: &Inner,
    name: &str,
    _range: HistoryRange,
) -> Result<HistoryPage, Failure> {
    names::room(name)?;
    let _ = (&rooms.hub, &rooms.store, rooms.kinds.of(name));
    Err(Failure::new(
        "unsupported",
        "rooms of this kind keep no history",
    ))
}
