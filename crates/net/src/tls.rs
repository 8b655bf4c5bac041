//! TLS by rustls: certificate and key from PEM files, exchanged while the server runs.
//!
//! Invariants: a reload that fails leaves the old certificate in place; connections that are open keep the one they
//! began with. TLS 1.2 and 1.3 by ring; tickets are on, so a client that comes back saves a round trip, and no
//! session is stored here. ALPN offers `http/1.1` alone: WebSocket over HTTP/2 (RFC 8441) isn't spoken.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use tokio_rustls::TlsAcceptor;

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate first, then those between it and the root.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1, not encrypted. May be the same file.
    pub key: PathBuf,
}

/// Why certificate and key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Missing, or not for our eyes.
    #[error("TLS: can't read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Broken base64 or a missing end line.
    #[error("TLS: {} is not valid PEM: {error}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Where the parser stopped.
        error: pem::Error,
    },
    /// The file is PEM, or anything else, without a certificate.
    #[error("TLS: no certificate in {}: it needs a section BEGIN CERTIFICATE", .0.display())]
    NoCertificate(PathBuf),
    /// The file has no key that can be read.
    #[error("TLS: no private key in {}: it needs a section BEGIN PRIVATE KEY", .0.display())]
    NoKey(PathBuf),
    /// There is no place to ask for a passphrase.
    #[error("TLS: the private key in {} is encrypted: decrypt it with `openssl pkey -in … -out …`", .0.display())]
    EncryptedKey(PathBuf),
    /// Of another certificate.
    #[error("TLS: the key in {} does not belong to the first certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Anything else that rustls refuses: an unknown kind of key, a broken certificate.
    #[error("TLS: certificate {} with key {}: {error}", certificate.display(), key.display())]
    Rustls {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What it says.
        error: rustls::Error,
    },
}

/// A certificate in use. Shared by the loops; [`Self::reload`] may come from any thread.
#[derive(Debug)]
pub struct TlsReloader {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    /// Kept over reloads: clients may come back with a ticket from before.
    ticketer: Arc<dyn ProducesTickets>,
    current: ArcSwap<ServerConfig>,
}

impl TlsReloader {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file and what to do.
    pub fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let ticketer = ring::Ticketer::new().map_err(|error| files.refused(error))?;
        let config = files.load(&provider, &ticketer)?;
        Ok(Self {
            files,
            provider,
            ticketer,
            current: ArcSwap::from_pointee(config),
        })
    }

    /// For the next connection. Costs two reference counts.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again; new connections get the new certificate.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate in use stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = self.files.load(&self.provider, &self.ticketer)?;
        self.current.store(Arc::new(config));
        Ok(())
    }

    /// The files that are read.
    #[must_use]
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }
}

impl TlsFiles {
    fn load(
        &self,
        provider: &Arc<CryptoProvider>,
        ticketer: &Arc<dyn ProducesTickets>,
    ) -> Result<ServerConfig, TlsError> {
        let certificates = read_certificates(&self.certificate)?;
        let key = read_key(&self.key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.refused(error))?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| self.refused(error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = Arc::clone(ticketer);
        // A client keeps one connection, so one ticket does instead of two.
        config.send_tls13_tickets = 1;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    fn refused(&self, error: rustls::Error) -> TlsError {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { certificate, key },
            error => TlsError::Rustls {
                certificate,
                key,
                error,
            },
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Read {
        path: path.to_owned(),
        error,
    })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem {
            path: path.to_owned(),
            error,
        })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    let encrypted = [
        &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
        b"Proc-Type: 4,ENCRYPTED",
    ];
    if encrypted.iter().any(|mark| has(&text, mark)) {
        return Err(TlsError::EncryptedKey(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        error => TlsError::Pem {
            path: path.to_owned(),
            error,
        },
    })
}

fn has(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|window| window == mark)
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
