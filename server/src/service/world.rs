//! Requests of worlds that backends make: for a person, or for themselves.

use lakh_world::{Asker, REQUESTS, Worlds};
use serde_json::Value;

use super::Service;
use super::caller::{Caller, Thing, act};
use super::module::{self, ModuleRequest};
use super::problem::Problem;

/// The namespace of the worlds.
const NAMESPACE: &str = "/world";

impl Service {
    /// Makes a request of a world, and gives its answer.
    ///
    /// # Errors
    /// [`Problem`]: `not_found` for a name that no request has, `unsupported` where worlds aren't served, and what the
    /// request is answered.
    pub async fn world(
        &self,
        caller: &Caller,
        name: &str,
        request: &ModuleRequest,
    ) -> Result<Value, Problem> {
        let worlds = self.served_worlds()?;
        module::known("world", REQUESTS, name)?;
        self.allow(caller, act::WORLD, thing(request))?;
        let asker = match &request.person {
            Some(id) => Asker::somebody(id, request.as_name.as_deref())?,
            None => Asker::system(),
        };
        let answer = worlds.call(&asker, name, &request.object()).await?;
        module::answer("world", name, &answer)
    }

    fn served_worlds(&self) -> Result<&Worlds, Problem> {
        let worlds = self.0.worlds.as_ref();
        worlds.ok_or_else(|| module::not_served("worlds"))
    }
}

/// What a request is about, for rights: each names its world or its space, or is about all of them.
fn thing(request: &ModuleRequest) -> Thing<'_> {
    if let Some(id) = &request.person {
        return Thing::Person(id);
    }
    match request.text("world").or_else(|| request.text("space")) {
        Some(world) => Thing::Room(NAMESPACE, world),
        None => Thing::Everybody(NAMESPACE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_about_a_person_a_world_or_all_worlds() {
        for (request, expected) in [
            (r#"{"world":"plaza"}"#, "/world#plaza"),
            (r#"{"space":"board"}"#, "/world#board"),
            (r#"{"world":"plaza","as":"ada"}"#, "@ada"),
            ("{}", "/world"),
        ] {
            let request: ModuleRequest = serde_json::from_str(request).unwrap();
            assert_eq!(thing(&request).text(), expected);
        }
    }
}
