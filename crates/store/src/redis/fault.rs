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
    fault_in(&format!(
        "{} {}",
        error.code(),
        error.details().unwrap_or_default()
    ))
}

/// Sorts an error by the code that its text begins with. A script's first write is where Redis finds out that it can't write, so
/// what it refuses it refuses as a whole.
pub(crate) fn fault_in(text: &str) -> Fault {
    let inner = inner(text);
    match inner.split(' ').next().unwrap_or_default() {
        "NOSCRIPT" => Fault::Scriptless,
        "MOVED" | "READONLY" => Fault::Elsewhere,
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "ASK" | "BUSY" => {
            Fault::Away(inner.into())
        }
        "OOM" => Fault::Full,
        "MISCONF" | "NOREPLICAS" | "NOPERM" | "NOAUTH" | "CROSSSLOT" => {
            Fault::Refused(inner.into())
        }
        _ => Fault::Broken(inner.into()),
    }
}

/// Redis 6.2 wraps the error of a command in a script: "@user_script: 9: -OOM command not allowed …".
fn inner(text: &str) -> &str {
    match text
        .split_once("@user_script")
        .and_then(|(_, place)| place.rsplit_once(": -"))
    {
        Some((_, inner)) => inner,
        None => text.trim_start_matches('-'),
    }
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
    fn errors_of_scripts_are_found_in_every_form() {
        for text in [
            "OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:5.",
            "-OOM command not allowed when used memory > 'maxmemory'.",
            "@user_script: 5: -OOM command not allowed when used memory > 'maxmemory'.",
            "ERR Error running script (call to f_1f): @user_script:5: @user_script: 5: -OOM command not allowed.",
        ] {
            assert_eq!(fault_in(text), Fault::Full, "{text}");
        }
        let replica = "@user_script: 5: -READONLY You can't write against a read only replica.";
        assert_eq!(fault_in(replica), Fault::Elsewhere);
    }

    #[test]
    fn an_unknown_error_may_have_left_something_behind() {
        for text in [
            "WRONGTYPE Operation against a key",
            "user_script:9: attempt to index a nil value",
            "",
        ] {
            assert!(matches!(fault_in(text), Fault::Broken(_)), "{text}");
        }
    }
}
