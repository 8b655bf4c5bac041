//! Passwords, kept as argon2id (RFC 9106) in the PHC format: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
//!
//! Hashing takes tens of milliseconds and 19 MiB on purpose: never do it on an event loop, and never so many at once as
//! strangers like.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;

/// Shortest password that [`hash`] takes, in characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;
/// Most memory that a stored hash may ask for, in KiB: whoever writes a hash into the settings doesn't mean to stop the
/// server with it.
const MAX_MEMORY_KIB: u32 = 1 << 20;
const MAX_PASSES: u32 = 64;

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// It could be guessed.
    #[error("a password has at least 12 characters")]
    TooShort,
    /// It is no password.
    #[error("a password has at most 1024 bytes")]
    TooLong,
    /// A stored hash is none of ours.
    #[error("the hash of a password begins with `$argon2id$`: make one with `lakh password`")]
    NotAHash,
    /// There is no memory for it.
    #[error("the password can't be hashed now")]
    Failed,
}

/// The hash of a password, to be kept. `salt` are random bytes.
///
/// # Errors
/// If it's too short, too long or can't be hashed.
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, PasswordError> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(PasswordError::TooShort);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong);
    }
    let salt = SaltString::encode_b64(salt).map_err(|_| PasswordError::Failed)?;
    // OWASP's choice: 19 MiB, two passes.
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    let hash = argon2.hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|_| PasswordError::Failed)?.to_string())
}

/// Whether a text can be the hash of a password, for settings.
///
/// # Errors
/// If not.
pub fn check_hash(hash: &str) -> Result<(), PasswordError> {
    read(hash).map(|_| ())
}

/// Whether it's the password that was hashed. A hash that is none fits no password.
#[must_use]
pub fn verify(password: &str, hash: &str) -> bool {
    let Ok((parsed, params)) = read(hash) else {
        return false;
    };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    password.len() <= MAX_PASSWORD_BYTES
        && argon2.verify_password(password.as_bytes(), &parsed).is_ok()
}

fn read(hash: &str) -> Result<(PasswordHash<'_>, Params), PasswordError> {
    let parsed = PasswordHash::new(hash).map_err(|_| PasswordError::NotAHash)?;
    let params = Params::try_from(&parsed).map_err(|_| PasswordError::NotAHash)?;
    let ours = parsed.algorithm == argon2::ARGON2ID_IDENT
        && parsed.hash.is_some()
        && parsed.salt.is_some()
        && params.m_cost() <= MAX_MEMORY_KIB
        && params.t_cost() <= MAX_PASSES;
    ours.then_some((parsed, params))
        .ok_or(PasswordError::NotAHash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_hash_and_no_other() {
        let kept = hash("correct horse", &[7; 16]).unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        assert!(verify("correct horse", &kept));
        for wrong in ["", "Correct horse", "correct horse ", &kept] {
            assert!(!verify(wrong, &kept), "{wrong}");
        }
        assert_ne!(kept, hash("correct horse", &[8; 16]).unwrap());
    }

    #[test]
    fn short_and_huge_passwords_are_not_hashed() {
        let hash = |password: &str| hash(password, &[1; 16]);
        assert_eq!(hash("elevenchars"), Err(PasswordError::TooShort));
        assert!(hash("zwölf Zeichen").is_ok());
        assert_eq!(hash(&"x".repeat(1_025)), Err(PasswordError::TooLong));
    }

    #[test]
    fn what_is_no_hash_of_ours_fits_nothing() {
        let good = hash("correct horse", &[7; 16]).unwrap();
        assert_eq!(check_hash(&good), Ok(()));
        for bad in [
            "".to_owned(),
            "correct horse".to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=4294967295"),
            good.replace("t=2", "t=4000000000"),
            good.rsplit_once('$').unwrap().0.to_owned(),
            "$2b$12$abcdefghijklmnopqrstuu".to_owned(),
        ] {
            assert_eq!(check_hash(&bad), Err(PasswordError::NotAHash), "{bad}");
            assert!(!verify("correct horse", &bad), "{bad}");
        }
    }
}
