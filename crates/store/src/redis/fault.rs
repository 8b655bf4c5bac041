//! Redis's errors sorted by what follows from them for a batch.

use std::sync::Arc;

use redis::{RedisError, ServerError};

/// What an error answer to one script means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was executed: the server doesn't know the script.
    Scriptless,
    /// Nothing was executed: another server is the one to ask.
    Elsewhere,
    /// Nothing was executed: the server can't serve now.
    Away(Arc<str>),
    /// Nothing was executed: the server's memory is used up.
    Full,
    /// Nothing was executed: the server refuses writes, or us.
    Refused(Arc<str>),
    /// The script stopped, perhaps halfway: a bug, or another program has changed our keys.
    Broken(Arc<str>),
}

pub(crate) fn fault(error: &ServerError) -> Fault {
    let detail = error.details().unwrap_or_default();
    sort(error.code(), detail)
}

/// A script's first write is where Redis finds out that it can't write; what it refuses there it refuses as a whole.
fn sort(code: &str, detail: &str) -> Fault {
    let text = || format!("{code} {detail}").into();
    match inner(code, detail) {
        "NOSCRIPT" => Fault::Scriptless,
        "MOVED" | "READONLY" => Fault::Elsewhere,
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "ASK" | "BUSY" => {
            Fault::Away(text())
        }
        "OOM" => Fault::Full,
        "MISCONF" | "NOREPLICAS" | "NOPERM" | "NOAUTH" | "CROSSSLOT" => Fault::Refused(text()),
        _ => Fault::Broken(text()),
    }
}

/// Redis 6.2 wraps the error of a command in a script: "ERR Error running script (…): @user_script: 9: -OOM command not …".
fn inner<'a>(code: &'a str, detail: &'a str) -> &'a str {
    if code == "ERR"
        && detail.contains("running script")
        && let Some((_, wrapped)) = detail.rsplit_once(": -")
    {
        return wrapped.split(' ').next().unwrap_or(code);
    }
    code
}

/// An error of the connection, for people.
pub(crate) fn reason(error: &RedisError) -> Arc<str> {
    if error.is_timeout() {
        return "Redis doesn't answer in time".into();
    }
    error.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_scripts_are_found_in_either_form() {
        let oom =
            "command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:5.";
        assert_eq!(sort("OOM", oom), Fault::Full);
        let old = "Error running script (call to f_1f): @user_script:5: @user_script: 5: -OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(sort("ERR", old), Fault::Full);
        let old = "Error running script (call to f_1f): @user_script:5: @user_script: 5: -READONLY You can't write against a read only replica.";
        assert_eq!(sort("ERR", old), Fault::Elsewhere);
    }

    #[test]
    fn an_unknown_error_may_have_left_something_behind() {
        assert!(matches!(
            sort("WRONGTYPE", "Operation against a key"),
            Fault::Broken(_)
        ));
        assert!(matches!(
            sort("ERR", "user_script:9: attempt to index a nil value"),
            Fault::Broken(_)
        ));
    }
}
