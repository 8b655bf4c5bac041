//! Who is in rooms.

use lakh_hub::Failure;

use crate::server_side::{Occupancy, PresencePage, PresenceRange};
use crate::{Inner, names};

fn unsupported() -> Failure {
    Failure::new("unsupported", "rooms of this kind have no presence")
}

pub(crate) async fn page(
    _rooms: &Inner,
    name: &str,
    _range: PresenceRange,
) -> Result<PresencePage, Failure> {
    names::room(name)?;
    Err(unsupported())
}

pub(crate) async fn occupancy(_rooms: &Inner, name: &str) -> Result<Occupancy, Failure> {
    names::room(name)?;
    Err(unsupported())
}
