//! Tests of TLS over real sockets, with certificates made for each test.
#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use super::*;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

struct Issued {
    dir: TempDir,
    files: TlsFiles,
}

impl Issued {
    fn new() -> (Self, CertifiedKey<KeyPair>) {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        let issued = Self { dir, files };
        let made = issued.renew();
        (issued, made)
    }

    /// Writes a new certificate for `localhost` in place of the old.
    fn renew(&self) -> CertifiedKey<KeyPair> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&self.files.certificate, made.cert.pem()).unwrap();
        fs::write(&self.files.key, made.signing_key.serialize_pem()).unwrap();
        made
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn client_of(
    made: &CertifiedKey<KeyPair>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// What both ends agreed on.
#[derive(Debug, PartialEq)]
struct Agreed {
    version: ProtocolVersion,
    alpn: Vec<u8>,
    kind: HandshakeKind,
}

/// One connection that says `ping` and gets it back in capitals.
async fn exchange(tls: &TlsReloader, client: &Arc<ClientConfig>) -> io::Result<Agreed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serve = async {
        let (socket, _) = listener.accept().await?;
        let mut socket = tls.acceptor().accept(socket).await?;
        let mut got = [0; 4];
        socket.read_exact(&mut got).await?;
        socket.write_all(&got.to_ascii_uppercase()).await?;
        socket.shutdown().await
    };
    let ask = async {
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(client));
        let mut socket = connector.connect(name, socket).await?;
        socket.write_all(b"ping").await?;
        let mut got = Vec::new();
        socket.read_to_end(&mut got).await?;
        assert_eq!(got, b"PING");
        let (_, session) = socket.get_ref();
        Ok(Agreed {
            version: session.protocol_version().unwrap(),
            alpn: session.alpn_protocol().unwrap().to_vec(),
            kind: session.handshake_kind().unwrap(),
        })
    };
    // The client's word counts: it is the one that judges the certificate.
    let (_, asked) = tokio::join!(serve, ask);
    asked
}

#[tokio::test]
async fn both_versions_are_spoken_and_tickets_save_the_second_handshake() {
    let (issued, made) = Issued::new();
    let tls = TlsReloader::new(issued.files.clone()).unwrap();
    for (version, number) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let client = client_of(&made, version);
        let agreed = |kind| Agreed {
            version: number,
            alpn: b"http/1.1".to_vec(),
            kind,
        };
        let first = exchange(&tls, &client).await.unwrap();
        assert_eq!(first, agreed(HandshakeKind::Full));
        // Tickets are good after a reload too.
        tls.reload().unwrap();
        let second = exchange(&tls, &client).await.unwrap();
        assert_eq!(second, agreed(HandshakeKind::Resumed));
    }
}

#[tokio::test]
async fn a_reload_brings_the_new_certificate() {
    let (issued, old) = Issued::new();
    let tls = TlsReloader::new(issued.files.clone()).unwrap();
    let new = issued.renew();
    let trusts_new = client_of(&new, &rustls::version::TLS13);
    assert!(exchange(&tls, &trusts_new).await.is_err());
    tls.reload().unwrap();
    exchange(&tls, &trusts_new).await.unwrap();
    let trusts_old = client_of(&old, &rustls::version::TLS13);
    assert!(exchange(&tls, &trusts_old).await.is_err());
}

#[tokio::test]
async fn a_reload_that_fails_leaves_the_old_certificate() {
    let (issued, made) = Issued::new();
    let tls = TlsReloader::new(issued.files.clone()).unwrap();
    fs::remove_file(&issued.files.key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    let client = client_of(&made, &rustls::version::TLS13);
    exchange(&tls, &client).await.unwrap();
}

fn error_of(certificate: &Path, key: &Path) -> TlsError {
    TlsReloader::new(TlsFiles {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    })
    .unwrap_err()
}

#[test]
fn each_mistake_is_named() {
    let (issued, _) = Issued::new();
    let TlsFiles { certificate, key } = &issued.files;
    let none = issued.dir.path().join("none.pem");
    let text = issued.write("text.pem", "hello");
    let broken = issued.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
    );
    let encrypted = issued.write(
        "encrypted.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let stranger = issued.write(
        "stranger.pem",
        &KeyPair::generate().unwrap().serialize_pem(),
    );

    let error = error_of(&none, key);
    assert!(matches!(&error, TlsError::Read { path, .. } if *path == none));
    assert!(error.to_string().contains("none.pem"), "{error}");
    assert!(matches!(
        error_of(certificate, &none),
        TlsError::Read { .. }
    ));
    assert!(matches!(error_of(&text, key), TlsError::NoCertificate(_)));
    assert!(matches!(error_of(key, key), TlsError::NoCertificate(_)));
    assert!(matches!(error_of(&broken, key), TlsError::Pem { .. }));
    assert!(matches!(error_of(certificate, &text), TlsError::NoKey(_)));
    assert!(matches!(
        error_of(certificate, certificate),
        TlsError::NoKey(_)
    ));
    assert!(matches!(
        error_of(certificate, &encrypted),
        TlsError::EncryptedKey(_)
    ));
    assert!(matches!(
        error_of(certificate, &stranger),
        TlsError::Mismatch { .. }
    ));
}

#[test]
fn certificate_and_key_may_lie_in_one_file() {
    let (issued, made) = Issued::new();
    let both = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
    let path = issued.write("both.pem", &both);
    let files = TlsFiles {
        certificate: path.clone(),
        key: path,
    };
    assert!(TlsReloader::new(files).is_ok());
}
