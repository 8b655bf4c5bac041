//! `[tls]`: a certificate, if the server itself is to speak TLS. Whether the files can be used is seen when they are
//! loaded, still before the port is bound.

use std::path::PathBuf;

use crate::config::section::section;

section! {
    /// A certificate, if the server itself is to speak TLS. Behind a proxy that does, leave it out.
    Tls as "tls" {
        /// File with the certificate and its chain, in PEM.
        cert: Option<PathBuf> = None;
        /// File with the private key, in PEM.
        key: Option<PathBuf> = None;
    }
    check |tls, wrong| {
        match (&tls.cert, &tls.key) {
            (Some(_), None) => wrong.push(("cert", "needs `tls.key` beside it".into())),
            (None, Some(_)) => wrong.push(("key", "needs `tls.cert` beside it".into())),
            _ => {}
        }
    };
}
