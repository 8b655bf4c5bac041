//! What is looked at before a message is sent or edited.

use lakh_hub::Failure;

use crate::Chat;
use crate::asker::Asker;
use crate::shapes::Said;
use crate::standing::Standing;

/// Passes a new message, changes it, or refuses it. It has not been through the gate.
pub(crate) fn check(
    _chat: &Chat,
    _asker: &Asker,
    _standing: &Standing,
    _said: &mut Said,
) -> std::future::Ready<Result<(), Failure>> {
    std::future::ready(Ok(()))
}

/// The same for what a message is to say after an edit, by its author or somebody else. Nobody has to wait for an edit.
pub(crate) fn check_edit(
    _chat: &Chat,
    _asker: &Asker,
    _standing: &Standing,
    _said: &mut Said,
) -> std::future::Ready<Result<(), Failure>> {
    std::future::ready(Ok(()))
}
