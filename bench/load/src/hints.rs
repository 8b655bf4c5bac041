//! What to do about a refusal, said where it is met. Names of settings are Lakh's; other servers have their own.

/// What to do about a connection that didn't come up for this reason; empty when that isn't known.
pub(crate) fn connecting(reason: &str) -> &'static str {
    const HINTS: [(&str, &str); 7] = [
        (
            " 429 ",
            "429 is a bound for one address: `limits.max_connections_per_address` or \
             `limits.handshakes_per_second_per_address` of the server. Raise it, come from more addresses of loopback \
             (--sources 50), or connect more slowly (--connect-rate)",
        ),
        (
            " 503 ",
            "503 is a bound of the whole server: `limits.max_connections`, `limits.handshakes_per_second`, or too few file \
             descriptors (its log says which, `lakh bench plan` how to lift it). It also answers so while it ends",
        ),
        (
            "Too many open files",
            "this shell allows too few descriptors: `ulimit -n 1000000`, as root if need be",
        ),
        (
            "Cannot assign requested address",
            "the ports of the source addresses are used up: more of them (--sources 50), or fewer connections",
        ),
        (
            "unauthorized",
            "the server wants a sign-in: --auth '{\"token\":\"…\"}' (`lakh token --sub bench --grant 'rooms:join,emit:*'` makes one), or in development \
             --auth '{\"name\":\"bench\"}'",
        ),
        (
            "no answer while",
            "it is too slow for so many at once: fewer (--in-flight), more slowly (--connect-rate) or more patience (--patience)",
        ),
        (
            "closed the connection",
            "its log may say why; `lakh bench plan --limits-only` looks for limits of this machine",
        ),
    ];
    let found = HINTS.iter().find(|(part, _)| reason.contains(part));
    found.map_or("", |(_, hint)| hint)
}

/// What to do about a request to a room that was answered with this error code.
pub(crate) fn request(code: &str) -> &'static str {
    match code {
        "rate_limited" => {
            "`rooms.events_per_second` (100 unless set) is how often one client may emit. Raise it \
             (LAKH_ROOMS__EVENTS_PER_SECOND=1000000 lakh serve), take more connections (-n) or a lower rate"
        }
        "too_large" => {
            "`rooms.max_data_bytes` or `limits.max_rooms_per_socket` of the server is too low for this"
        }
        "unavailable" => "the server is overloaded, or `rooms.max_rooms` is reached",
        "forbidden" => {
            "neither the server's rules nor the token allow it: `lakh token --sub bench --grant 'rooms:join,emit:*'` makes one \
             that does, unless a rule denies it; rooms are called r000000 and up"
        }
        _ => "the server's log may say more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_leads_to_the_setting_behind_it() {
        let busy = connecting("the server answered HTTP/1.1 503 Service Unavailable");
        assert!(busy.contains("limits.max_connections"), "{busy}");
        let address = connecting("the server answered HTTP/1.1 429 Too Many Requests");
        assert!(address.contains("per_address"), "{address}");
        assert!(request("rate_limited").contains("rooms.events_per_second"));
        assert_eq!(connecting("something new"), "");
    }
}
