//! OSM's encryption of secrets (NG-RO REST 6.4): AES-256, each block for itself, under a key that is made anew for each record.
//!
//! The key is 32 zero bytes, into which three texts are put one after the other by XOR, each beginning anew at the first byte and going
//! round: the common key that every component of OSM is given, the serial that NBI draws when it makes the database, and the id
//! of the record. It is what OSM has; vimhost seals the same secrets by itself as soon as it has read them.
//!
//! Nothing here authenticates: that a key is wrong shows only in that what comes out is no text.

use std::fmt;

use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vimhost_model::Secret;
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY: usize = 32;

/// Bytes of a block.
const BLOCK: usize = 16;

/// Versions of a record whose secrets are in clear.
const CLEAR: &[&str] = &["", "1.0"];

/// Why a text was not decrypted. It says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// Nothing that was encrypted looks so.
    #[error("is not base64 of whole blocks, so it was not encrypted")]
    Form,
    /// What comes out is no text.
    #[error("cannot be decrypted: the common key is not that of OSM's other components")]
    Key,
}

/// The serial in OSM's database is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the serial in OSM's database (admin, version) is not base64")]
pub struct SerialError;

/// Decrypts what OSM's components encrypt.
pub struct Cipher {
    /// None: no key is in use, and everything is in clear.
    key: Option<Zeroizing<[u8; KEY]>>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(***)")
    }
}

impl Cipher {
    /// A cipher with the common key and the database's serial, base64; either may be missing.
    ///
    /// # Errors
    /// When the serial is not base64.
    pub fn new(common_key: Option<&Secret>, serial: Option<&str>) -> Result<Self, SerialError> {
        let common_key = common_key.filter(|key| !key.expose().is_empty());
        let serial = serial.filter(|serial| !serial.is_empty());
        if common_key.is_none() && serial.is_none() {
            return Ok(Self { key: None });
        }
        let mut key = Zeroizing::new([0_u8; KEY]);
        if let Some(common_key) = common_key {
            join(&mut key, common_key.expose().as_bytes());
        }
        if let Some(serial) = serial {
            let serial = STANDARD.decode(serial).map(Zeroizing::new).map_err(|_| SerialError)?;
            join(&mut key, &serial);
        }
        Ok(Self { key: Some(key) })
    }

    /// Whether secrets of a record of this version are encrypted.
    #[must_use]
    pub fn is_used(&self, schema_version: Option<&str>) -> bool {
        self.key.is_some() && !CLEAR.contains(&schema_version.unwrap_or_default())
    }

    /// A secret of the record `salt`.
    ///
    /// # Errors
    /// When it was not encrypted, or under another key.
    pub fn decrypt(&self, text: &str, schema_version: Option<&str>, salt: &str) -> Result<Secret, CipherError> {
        let key = match &self.key {
            Some(key) if self.is_used(schema_version) => key,
            Some(_) | None => return Ok(Secret::new(text)),
        };
        let bytes = STANDARD.decode(text).map_err(|_| CipherError::Form)?;
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        if !rest.is_empty() {
            return Err(CipherError::Form);
        }
        let mut key = key.clone();
        join(&mut key, salt.as_bytes());
        let cipher = Aes256::new(&Array::from(*key));
        // Of its final size from the beginning: what grows leaves copies behind.
        let mut clear = Zeroizing::new(Vec::with_capacity(bytes.len()));
        for block in blocks {
            let mut block = aes::Block::from(*block);
            cipher.decrypt_block(&mut block);
            clear.extend_from_slice(&block);
        }
        let text = std::str::from_utf8(&clear).map_err(|_| CipherError::Key)?;
        Ok(Secret::new(text.trim_end_matches('\0')))
    }
}

/// Puts a text into a key.
fn join(key: &mut [u8; KEY], text: &[u8]) {
    for part in text.chunks(KEY) {
        for (byte, other) in key.iter_mut().zip(part) {
            *byte ^= other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const SALT: &str = "11111111-1111-1111-1111-111111111111";

    fn cipher(common_key: &str) -> Cipher {
        Cipher::new(Some(&Secret::new(common_key)), Some(SERIAL)).unwrap()
    }

    fn decrypted(cipher: &Cipher, text: &str, version: Option<&str>) -> Result<String, CipherError> {
        let secret = cipher.decrypt(text, version, SALT)?;
        Ok(secret.expose().to_owned())
    }

    #[test]
    fn what_osm_encrypts_is_decrypted() {
        let cipher = cipher("osmcommonkey");
        for version in ["1.1", "1.11"] {
            assert_eq!(
                decrypted(&cipher, "q3hfBMPBdIgFqAZ4gi6pXA==", Some(version)).unwrap(),
                "secretpass"
            );
        }
        // Several blocks, and a character of two bytes; made with OpenSSL's AES.
        let long = "W9lTNgHqjKx4czPXnBsFQSkG0cP/83Sh3iJPIb3B0KZcR4swUfdDmRn2WUIIbRBq";
        assert_eq!(
            decrypted(&cipher, long, Some("1.11")).unwrap(),
            "a password of more than sixteen bytes ß"
        );
        assert_eq!(decrypted(&cipher, "", Some("1.11")).unwrap(), "");
    }

    #[test]
    fn records_of_old_versions_and_installations_without_keys_are_in_clear() {
        let cipher = cipher("osmcommonkey");
        assert_eq!(decrypted(&cipher, "secretpass", None).unwrap(), "secretpass");
        assert_eq!(decrypted(&cipher, "secretpass", Some("1.0")).unwrap(), "secretpass");
        let none = Cipher::new(None, None).unwrap();
        assert_eq!(decrypted(&none, "secretpass", Some("1.11")).unwrap(), "secretpass");
        let empty = Cipher::new(Some(&Secret::new("")), Some("")).unwrap();
        assert!(!empty.is_used(Some("1.11")));
    }

    #[test]
    fn another_key_another_salt_and_what_was_not_encrypted_are_told_apart() {
        let text = "q3hfBMPBdIgFqAZ4gi6pXA==";
        assert_eq!(decrypted(&cipher("other"), text, Some("1.11")), Err(CipherError::Key));
        let right = cipher("osmcommonkey");
        for text in ["mypassword", "bXlwYXNzd29yZA==", "s3cr3t!"] {
            assert_eq!(decrypted(&right, text, Some("1.11")), Err(CipherError::Form), "{text}");
        }
        assert_eq!(Cipher::new(None, Some("?")).unwrap_err(), SerialError);
    }

    #[test]
    fn a_cipher_does_not_print_its_key() {
        assert_eq!(format!("{:?}", cipher("canary")), "Cipher(***)");
    }
}
