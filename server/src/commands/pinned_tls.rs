//! TLS to our own server, which is known by its very certificate: no authority and no name is asked, so a certificate
//! for a public name serves a check that goes to loopback.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    SignatureScheme, StreamOwned,
};

use super::healthcheck::Deadline;

/// Speaks TLS over `stream` to whoever holds the key of the first certificate in the file.
pub(super) fn open(
    stream: Deadline,
    cert: &Path,
) -> io::Result<StreamOwned<ClientConnection, Deadline>> {
    let expected = CertificateDer::from_pem_file(cert).map_err(io::Error::other)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Pinned {
        expected,
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Takes one certificate and no other. The handshake's signature is checked as ever: it proves that the peer holds the key.
#[derive(Debug)]
struct Pinned {
    expected: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *end_entity == self.expected {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    struct Identity {
        pem: tempfile::NamedTempFile,
        cert: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    }

    /// For a public name, as a real one would be.
    fn identity() -> Identity {
        let made = rcgen::generate_simple_self_signed(["lakh.example".to_owned()]).unwrap();
        let mut pem = tempfile::NamedTempFile::new().unwrap();
        pem.write_all(made.cert.pem().as_bytes()).unwrap();
        Identity {
            pem,
            cert: made.cert.der().clone(),
            key: PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
        }
    }

    /// Answers "well" to one client that says "how".
    fn serve(cert: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> SocketAddr {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut heard = [0; 3];
            // A client that refuses our certificate is gone by now.
            if stream.read_exact(&mut heard).is_ok() {
                stream.write_all(b"well").unwrap();
            }
        });
        address
    }

    fn talk(address: SocketAddr, cert: &Path) -> io::Result<String> {
        let stream = TcpStream::connect(address)?;
        let mut stream = open(Deadline::new(stream, Duration::from_secs(60)), cert)?;
        stream.write_all(b"how")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn the_holder_of_the_certificate_is_spoken_to_under_any_name() {
        let ours = identity();
        let address = serve(ours.cert, ours.key);
        assert_eq!(talk(address, ours.pem.path()).unwrap(), "well");
    }

    #[test]
    fn another_certificate_is_refused() {
        let (ours, others) = (identity(), identity());
        let address = serve(others.cert, others.key);
        let error = talk(address, ours.pem.path()).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
