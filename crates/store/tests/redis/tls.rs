//! The way to Redis over TLS.

use std::process::Command;

use lakh_store::contract::block_on;
use lakh_store::{Entry, OpenError, RedisOptions, Store};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::server::Server;

/// The port of a server with TLS, given to the process in which its authority is one of the system's.
const PORT: &str = "LAKH_STORE_TLS_PORT";
const NAME: &str = "tls::a_server_with_a_certificate_of_the_systems_roots_is_trusted_and_no_other";

fn store_at(port: &str) -> Result<Store, OpenError> {
    Store::redis(
        &format!("rediss://127.0.0.1:{port}"),
        &RedisOptions::default(),
    )
}

#[test]
fn a_server_with_a_certificate_of_the_systems_roots_is_trusted_and_no_other() {
    if let Ok(port) = std::env::var(PORT) {
        let store = store_at(&port).unwrap();
        let append = || block_on(store.append("l", vec![Entry::new(0, vec![7; 100_000])]));
        assert_eq!(append().unwrap().first_seq(), 1);
        assert_eq!(block_on(store.last_seq("l")), Ok(1));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let roots = file("ca.pem", &authority.pem());
    let (certificate, key) = (
        file("cert.pem", &certificate.pem()),
        file("key.pem", &key.serialize_pem()),
    );
    let server = Server::with_tls(&roots, &certificate, &key);
    let port = server.port.to_string();
    let stranger = store_at(&port).map(drop).unwrap_err();
    assert!(
        matches!(stranger, OpenError::Unreachable { .. }),
        "{stranger}"
    );
    let trusting = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(PORT, &port)
        .env("SSL_CERT_FILE", &roots)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&trusting.stdout);
    assert!(
        trusting.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
