//! The keys that the settings name.

use std::path::{Path, PathBuf};

use lakh_auth::{Algorithm, Key, KeyError, KeySet};

use crate::config::{Auth, TokenKey};

/// Larger files hold no key.
const MAX_FILE_BYTES: u64 = 65_536;

/// Why no sign-in can be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// `auth.secret` is no key.
    #[error("auth.secret {0}")]
    Secret(KeyError),
    /// One of `auth.keys` is none.
    #[error("auth.keys, number {number}: {error}")]
    Key {
        /// Which one, from 1.
        number: usize,
        /// Why.
        error: KeyError,
    },
    /// The file of one of `auth.keys` can't be read.
    #[error("auth.keys, number {number}: {} can't be read: {error}", path.display())]
    File {
        /// Which one, from 1.
        number: usize,
        /// As it was named.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Nothing can be fetched on this machine.
    #[error("auth.jwks_url can't be used here: {0}")]
    Client(#[from] reqwest::Error),
}

/// All keys of the settings: `auth.secret` last, so that the list says what new tokens are signed with.
pub(super) fn key_set(auth: &Auth) -> Result<KeySet, SetUpError> {
    let listed = auth.keys.iter().enumerate();
    let mut keys: Vec<Key> = listed
        .map(|(at, key)| listed_key(key, at + 1))
        .collect::<Result<_, _>>()?;
    if let Some(secret) = &auth.secret {
        let key = Key::secret(Algorithm::HS256, secret.0.as_bytes());
        keys.push(key.map_err(SetUpError::Secret)?);
    }
    Ok(KeySet::new(keys))
}

fn listed_key(key: &TokenKey, number: usize) -> Result<Key, SetUpError> {
    let text = |path: &Path| {
        read(path).map_err(|error| SetUpError::File {
            number,
            path: path.to_owned(),
            error,
        })
    };
    let algorithm = key.algorithm.0;
    let made = if let Some(secret) = &key.secret {
        Key::secret(algorithm, secret.0.as_bytes())
    } else if let Some(path) = &key.secret_file {
        let secret = text(path)?;
        Key::secret(algorithm, secret.trim_end_matches(['\n', '\r']).as_bytes())
    } else if let Some(path) = &key.private_key {
        Key::private_pem(algorithm, &text(path)?)
    } else {
        // The settings see to it that one of the four is there.
        Key::public_pem(
            algorithm,
            &text(key.file.as_deref().unwrap_or(Path::new("")))?,
        )
    };
    let made = made.map_err(|error| SetUpError::Key { number, error })?;
    let (from, to) = (
        key.not_before.map(|time| time.0),
        key.not_after.map(|time| time.0),
    );
    Ok(made
        .with_id(key.id.as_deref())
        .of_issuer(key.issuer.as_deref())
        .within(from, to))
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(std::io::Error::other("it's too large for a key"));
    }
    std::fs::read_to_string(path)
}
