//! `[server]`: where the server listens and what it serves.

use std::path::PathBuf;

use crate::config::section::section;
use crate::config::value::{Address, words};

words! {
    /// A module that the binary can serve.
    Module {
        /// Rooms for any event, on the namespace `/`.
        Rooms = "rooms",
        /// Chat with history, typing and presence, on the namespace `/chat`.
        Chat = "chat",
        /// Worlds in which people move, on the namespace `/world`.
        World = "world",
    }
}

/// Every module, in the order in which they are told to people.
pub const MODULES: [Module; 3] = [Module::Rooms, Module::Chat, Module::World];

section! {
    /// Where the server listens and what it serves.
    Server as "server" {
        /// Address and port. Other machines reach only an address that isn't loopback; binding to one needs
        /// `auth.secret` (or `auth.secret_file`), or `server.open = true`.
        bind: Address = Address(([127, 0, 0, 1], 3000).into());
        /// Path of the Socket.IO endpoint, as in the client's option `path`.
        path: String = "/socket.io/".into();
        /// Lets another process of the same user listen on the same address: it takes the new connections while this one
        /// drains, and no connect is refused. Each needs a data folder and a node name of its own.
        reuse_port: bool = false;
        /// Folder for what must outlive the process. It is made when missing.
        data: PathBuf = "./lakh-data".into();
        /// Modules to serve. All of them unless some are named here or after `lakh serve`.
        modules: Vec<Module> = MODULES.to_vec();
        /// Event loops, each a thread of its own. Unset: one for each core.
        loops: Option<u32> = None;
        /// Hand the messages of a loop's turn to io_uring together, where the kernel allows it (containers often forbid
        /// it). Elsewhere, and when off, each message takes a system call.
        io_uring: bool = true;
        /// Name of this node among others: 1 to 32 of `A-Z a-z 0-9 _ -`. Its first three characters stand in every session
        /// id, so they must differ from node to node; with Redis a node makes sure of it at its start. Unset: one is made at
        /// each start, by which no balancer can route.
        node: Option<String> = None;
        /// Address and port at which the other nodes of a fleet reach this one, to pass on requests for its sessions: plain
        /// HTTP. Unset: `server.nodes_bind`, else `server.bind`; for one that stands for all addresses, the one from which
        /// Redis is reached.
        advertise: Option<Address> = None;
        /// Another address and port where only other nodes are served, over plain HTTP. Needed where clients speak TLS to this
        /// node, where proxies send PROXY headers, and where processes share the port. Keep strangers away from it.
        nodes_bind: Option<Address> = None;
        /// Says that everybody may come in without a sign-in, on whatever address is bound.
        open: bool = false;
    }
    check |server, wrong| {
        if !is_path(&server.path) {
            wrong.push(("path", path_message(&server.path)));
        }
        if server.data.as_os_str().is_empty() {
            wrong.push(("data", "must not be empty".into()));
        }
        if server.modules.is_empty() {
            wrong.push(("modules", "must name a module: \"rooms\" or \"chat\"".into()));
        }
        if let Some(Address(at)) = server.advertise
            && (at.ip().is_unspecified() || at.port() == 0)
        {
            wrong.push(("advertise", format!("`{at}` is no address that others can reach: name one, with a port")));
        }
        if matches!(server.loops, Some(loops) if loops == 0 || loops > 64) {
            wrong.push(("loops", "must be 1 to 64".into()));
        }
        if let Some(node) = &server.node
            && !is_node_name(node)
        {
            wrong.push(("node", "must be 1 to 32 of `A-Z a-z 0-9 _ -`".into()));
        }
    };
}

/// Whether it can be the path of an endpoint: starts with `/` and has no query, fragment, space or empty part.
pub(super) fn is_path(path: &str) -> bool {
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%'));
    path.starts_with('/') && path.len() > 1 && plain && !path.contains("//")
}

/// What to say where [`is_path`] doesn't hold.
pub(super) fn path_message(path: &str) -> String {
    format!("`{path}` is no path: it must look like `/socket.io/`")
}

fn is_node_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}
