//! The description of a module's requests: one operation for each, made from the module's own table of requests.

use utoipa::Modify;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{HttpMethod, OpenApi};

/// Stands for a request's name, in the one path that all of them have and in their description.
const NAME: &str = "{request}";

/// The requests of a module.
pub(in crate::http) struct Requests {
    /// The module's name, as its path has it.
    pub(super) module: &'static str,
    /// The names of its requests.
    pub(super) names: &'static [&'static str],
    /// What each does, in a few words.
    pub(super) about: &'static [(&'static str, &'static str)],
    /// What holds for all of them, `{request}` being the name.
    pub(super) description: &'static str,
}

impl Requests {
    /// The path that is declared for all of them.
    fn path(&self) -> String {
        format!("/api/v1/{}/{NAME}", self.module)
    }

    fn about(&self, name: &str) -> Option<&'static str> {
        let found = self.about.iter().find(|(of, _)| *of == name);
        found.map(|(_, about)| *about)
    }
}

impl Modify for Requests {
    fn modify(&self, openapi: &mut OpenApi) {
        let template = openapi.paths.paths.remove(&self.path());
        let Some(mut template) = template.and_then(|item| item.post) else {
            return;
        };
        if let Some(parameters) = &mut template.parameters {
            parameters.retain(|parameter| !matches!(parameter.parameter_in, ParameterIn::Path));
        }
        for name in self.names {
            let mut operation = template.clone();
            operation.operation_id = Some(format!("{}_{}", self.module, name.replace(':', "_")));
            operation.summary = self.about(name).map(str::to_owned);
            operation.description = Some(self.description.replace(NAME, name));
            let path = self.path().replace(NAME, name);
            openapi
                .paths
                .add_path_operation(path, vec![HttpMethod::Post], operation);
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi as _;

    use super::super::{chat::CHAT_REQUESTS, world::WORLD_REQUESTS};
    use super::*;
    use crate::http::openapi::Description;

    #[test]
    fn each_request_of_a_module_is_described() {
        let api = Description::openapi();
        for requests in [CHAT_REQUESTS, WORLD_REQUESTS] {
            assert!(!api.paths.paths.contains_key(&requests.path()));
            for name in requests.names {
                let path = requests.path().replace(NAME, name);
                let path = api.paths.paths.get(&path);
                let operation = path.and_then(|path| path.post.as_ref()).expect(name);
                assert!(operation.summary.is_some(), "say what {name} does");
            }
        }
    }
}
