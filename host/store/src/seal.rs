//! Sealing of secrets at rest.
//!
//! A sealed text is XChaCha20-Poly1305 with a random nonce of 24 bytes, long enough that random ones never meet. The *context*,
//! `account:vim:<id>:password` for instance, is authenticated with it, so a sealed text that is copied to another record does
//! not open there.
//!
//! ```text
//! v1 . <key id> . base64url( mark 8 ‖ nonce 24 ‖ ciphertext ‖ tag 16 )
//! ```
//!
//! The tag alone cannot tell a damaged text from one of another record. The mark can: a short hash of key and context, which
//! tells nothing to whoever has no key. It serves the error message only; what protects is the tag.
//!
//! The keys come from files, never from the store. [`KeyRing::rotate`] makes another key the one that seals and keeps the old one
//! beside it; [`KeyRing::is_current`] says which texts to seal anew.

mod files;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use vimhost_model::Secret;
use zeroize::Zeroizing;

use crate::SealedText;

const VERSION: &str = "v1";
const KEY_BYTES: usize = 32;
const MARK_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;

/// Bytes of the keyed hash that names a secret. Eight tell some billion apart, and who meets another one's is told by the secret itself.
const NAME_BYTES: usize = 8;

/// Bytes of the key's hash that name it. Eight tell some billion keys apart.
const KEY_ID_BYTES: usize = 8;

/// A key file longer than this is none: 64 hexadecimal digits and room for line ends.
const LONGEST_FILE: u64 = 128;

/// A secret that was not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key it was sealed with is not in the ring.
    #[error("sealed with key {key_id}, which is not among the keys of this host")]
    UnknownKey {
        /// Id of the key.
        key_id: String,
    },
    /// It was sealed for another record.
    #[error("sealed for another record than {context}")]
    OtherRecord {
        /// Where it was to be opened.
        context: String,
    },
    /// It is not what was sealed.
    #[error("the sealed text of {context} is damaged: {reason}")]
    Corrupt {
        /// Where it was to be opened.
        context: String,
        /// Why.
        reason: &'static str,
    },
    /// The operating system gives no random numbers, or the secret is too large for the cipher.
    #[error("cannot seal the secret of {context}: {reason}")]
    Seal {
        /// What it belongs to.
        context: String,
        /// Why.
        reason: String,
    },
}

/// A key that was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the seal key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error(
        "the seal key {} has mode {mode:03o}, so others than its owner may read it: run 'chmod 600' on it",
        path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("the seal key {} is neither 32 bytes nor 64 hexadecimal digits", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("cannot make the seal key {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No such key, or not one that may be treated so.
    #[error("there is no older seal key {key_id}")]
    Unknown {
        /// Its id.
        key_id: String,
    },
    /// The operating system gives no random numbers.
    #[error("cannot make a seal key: {0}")]
    Random(String),
}

/// What to do when there is no key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Make one of a new random key.
    Create,
    /// Refuse: a new key would open nothing that is stored.
    Refuse,
}

/// A key that seals. Wiped when dropped; `Debug` prints its id only.
#[derive(Clone)]
pub struct SealKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

impl SealKey {
    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let hash = Sha256::new()
            .chain_update(b"vimhost seal key id\0")
            .chain_update(bytes.as_slice())
            .finalize();
        let id = hex(hash.iter().take(KEY_ID_BYTES));
        Self { bytes, id }
    }

    /// A key of its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self::new(Zeroizing::new(bytes))
    }

    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self::new(bytes))
    }

    /// The key in a file: 32 bytes, or 64 hexadecimal digits with white space around them.
    ///
    /// # Errors
    /// When the file cannot be read, when others than its owner may read it, or when it holds something else. A missing file is
    /// made with mode 0600 if `if_missing` says so, otherwise it is an error.
    pub fn load(path: &Path, if_missing: IfMissing) -> Result<Self, KeyError> {
        match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound && if_missing == IfMissing::Create => {
                Self::create(path)
            }
            Err(source) => Err(KeyError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn read(path: &Path, file: File) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read {
            path: path.to_owned(),
            source,
        };
        // Of the open file, not of the name, which could point elsewhere by then.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Permissions {
                path: path.to_owned(),
                mode,
            });
        }
        let mut content = Zeroizing::new(Vec::with_capacity(KEY_BYTES * 4));
        file.take(LONGEST_FILE).read_to_end(&mut content).map_err(failed)?;
        parse(&content)
            .map(Self::new)
            .ok_or_else(|| KeyError::Form { path: path.to_owned() })
    }

    fn create(path: &Path) -> Result<Self, KeyError> {
        let key = Self::random()?;
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(Zeroizing::new(hex(key.bytes.iter())).as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            // The name too must survive a power loss, or what is sealed meanwhile never opens again.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|source| KeyError::Create {
            path: path.to_owned(),
            source,
        })?;
        Ok(key)
    }

    /// Its id: a short hash, safe to show.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }

    fn mark(&self, context: &str) -> [u8; MARK_BYTES] {
        let hash = Sha256::new()
            .chain_update(b"vimhost seal mark\0")
            .chain_update(self.bytes.as_slice())
            .chain_update(context.as_bytes())
            .finalize();
        let mut mark = [0; MARK_BYTES];
        for (to, from) in mark.iter_mut().zip(hash) {
            *to = from;
        }
        mark
    }

    fn name_of(&self, secret: &Secret, context: &str) -> String {
        let secret = secret.expose().as_bytes();
        let hash = Sha256::new()
            .chain_update(b"vimhost secret name\0")
            .chain_update(self.bytes.as_slice())
            .chain_update(secret.len().to_be_bytes())
            .chain_update(secret)
            .chain_update(context.as_bytes())
            .finalize();
        hex(hash.iter().take(NAME_BYTES))
    }
}

/// The current key, and older ones that still open what they sealed.
#[derive(Debug)]
pub struct KeyRing {
    keys: RwLock<Keys>,
    /// The directory of their files.
    home: Option<PathBuf>,
}

#[derive(Debug)]
struct Keys {
    current: SealKey,
    older: Vec<SealKey>,
}

impl KeyRing {
    /// A ring of one key.
    #[must_use]
    pub fn new(current: SealKey) -> Self {
        Self {
            keys: RwLock::new(Keys {
                current,
                older: Vec::new(),
            }),
            home: None,
        }
    }

    /// A panic elsewhere leaves the keys whole: nothing in a critical section fails half-way.
    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ring with an older key that still opens.
    #[must_use]
    pub fn with_older(self, key: SealKey) -> Self {
        self.write().older.push(key);
        self
    }

    /// Id of the key that seals.
    #[must_use]
    pub fn current_id(&self) -> String {
        self.read().current.id.clone()
    }

    /// Ids of the keys that only open.
    #[must_use]
    pub fn older_ids(&self) -> Vec<String> {
        self.read().older.iter().map(|key| key.id.clone()).collect()
    }

    /// Id of the key that a text was sealed with.
    #[must_use]
    pub fn key_of(sealed: &SealedText) -> Option<&str> {
        split(&sealed.0).map(|(key_id, _)| key_id)
    }

    /// Whether a text was sealed with the current key. One that was not is to be opened and sealed anew.
    #[must_use]
    pub fn is_current(&self, sealed: &SealedText) -> bool {
        Self::key_of(sealed).is_some_and(|key_id| key_id == self.read().current.id)
    }

    /// Names of a secret at one place, under each key, the one that seals first: equal secrets have equal names. Without the key a name tells
    /// nothing, not even whether a guess is right.
    #[must_use]
    pub fn names_of(&self, secret: &Secret, context: &str) -> Vec<String> {
        let keys = self.read();
        let all = std::iter::once(&keys.current).chain(&keys.older);
        all.map(|key| key.name_of(secret, context)).collect()
    }

    /// Seals a secret for one place: only the same `context` opens it.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn seal(&self, secret: &Secret, context: &str) -> Result<SealedText, SealError> {
        let failed = |reason: String| SealError::Seal {
            context: context.to_owned(),
            reason,
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| failed(error.to_string()))?;
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: context.as_bytes(),
        };
        let keys = self.read();
        let ciphertext = keys
            .current
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|error| failed(error.to_string()))?;
        let sealed = [&keys.current.mark(context), &nonce[..], &ciphertext].concat();
        Ok(SealedText(format!(
            "{VERSION}.{}.{}",
            keys.current.id,
            URL_SAFE_NO_PAD.encode(sealed)
        )))
    }

    /// Opens a secret that was sealed for `context`.
    ///
    /// # Errors
    /// When its key is unknown, when it was sealed for another place, or when it was changed.
    pub fn open(&self, sealed: &SealedText, context: &str) -> Result<Secret, SealError> {
        let corrupt = |reason| SealError::Corrupt {
            context: context.to_owned(),
            reason,
        };
        let (key_id, body) = split(&sealed.0).ok_or_else(|| corrupt("it is not of the form 'v1.<key>.<text>'"))?;
        let keys = self.read();
        let key = std::iter::once(&keys.current)
            .chain(&keys.older)
            .find(|key| key.id == key_id)
            .ok_or_else(|| SealError::UnknownKey {
                key_id: key_id.to_owned(),
            })?;
        let body = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| corrupt("it is not base64url"))?;
        let (mark, rest) = body
            .split_first_chunk::<MARK_BYTES>()
            .ok_or_else(|| corrupt("it is too short"))?;
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(|| corrupt("it is too short"))?;
        let payload = Payload {
            msg: ciphertext,
            aad: context.as_bytes(),
        };
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload);
        let text = opened.map(Zeroizing::new).map_err(|_| {
            if *mark == key.mark(context) {
                corrupt("its authentication tag does not fit")
            } else {
                SealError::OtherRecord {
                    context: context.to_owned(),
                }
            }
        })?;
        let text = std::str::from_utf8(&text).map_err(|_| corrupt("it holds no text"))?;
        Ok(Secret::new(text))
    }
}

/// Key id and body of a sealed text.
fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The key in a file's content.
fn parse(content: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    if let Ok(bytes) = content.try_into() {
        return Some(Zeroizing::new(bytes));
    }
    let digits = content.trim_ascii();
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if digits.len() != KEY_BYTES * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CONTEXT: &str = "account:vim:a:password";

    fn key(byte: u8) -> SealKey {
        SealKey::from_bytes([byte; KEY_BYTES])
    }

    #[test]
    fn a_sealed_secret_opens_at_its_place_only() {
        let ring = KeyRing::new(key(1));
        for text in ["", "canary", &"long ü ".repeat(1000)] {
            let secret = Secret::new(text);
            let sealed = ring.seal(&secret, CONTEXT).unwrap();
            assert!(!sealed.0.contains("canary"));
            assert_ne!(ring.seal(&secret, CONTEXT).unwrap(), sealed);
            assert_eq!(ring.open(&sealed, CONTEXT).unwrap(), secret);
            let moved = ring.open(&sealed, "account:vim:b:password");
            assert!(matches!(moved, Err(SealError::OtherRecord { .. })), "{moved:?}");
        }
        assert!(!format!("{:?}", key(b'k')).contains("107"));
    }

    #[test]
    fn a_changed_text_does_not_open() {
        let ring = KeyRing::new(key(1));
        let sealed = ring.seal(&Secret::new("canary"), CONTEXT).unwrap();
        let (head, body) = sealed.0.rsplit_once('.').unwrap();
        let body = URL_SAFE_NO_PAD.decode(body).unwrap();
        for position in 0..body.len() {
            let mut changed = body.clone();
            changed[position] ^= 1;
            let changed = SealedText(format!("{head}.{}", URL_SAFE_NO_PAD.encode(changed)));
            let opened = ring.open(&changed, CONTEXT);
            // The mark is not what protects: with another mark the text is whole.
            assert_eq!(opened.is_ok(), position < MARK_BYTES);
            if position >= MARK_BYTES {
                assert!(matches!(opened, Err(SealError::Corrupt { .. })), "{opened:?}");
            }
        }
        for length in 0..body.len() {
            let cut = SealedText(format!("{head}.{}", URL_SAFE_NO_PAD.encode(&body[..length])));
            assert!(matches!(ring.open(&cut, CONTEXT), Err(SealError::Corrupt { .. })));
        }
        for text in ["", "v1", "v1.x", "v2.a.b", "canary"] {
            let opened = ring.open(&SealedText(text.to_owned()), CONTEXT);
            assert!(matches!(opened, Err(SealError::Corrupt { .. })), "{text}");
        }
    }

    #[test]
    fn a_secret_has_a_name_of_its_own_at_each_place_and_under_each_key() {
        let (old, secret) = (KeyRing::new(key(1)), Secret::new("canary"));
        let names = old.names_of(&secret, CONTEXT);
        assert_eq!(names, old.names_of(&Secret::new("canary"), CONTEXT));
        assert_eq!(names.iter().map(String::len).collect::<Vec<_>>(), [16]);
        assert_ne!(names, old.names_of(&Secret::new("another"), CONTEXT));
        assert_ne!(names, old.names_of(&secret, "account:vim:b:password"));
        // What stands before and behind the place where two texts meet is told apart.
        assert_ne!(
            old.names_of(&Secret::new("ab"), "c"),
            old.names_of(&Secret::new("a"), "bc")
        );
        let rotated = KeyRing::new(key(2)).with_older(key(1)).names_of(&secret, CONTEXT);
        assert_eq!(rotated.len(), 2);
        assert_eq!(rotated[1..], names);
        assert_ne!(rotated[0], names[0]);
    }

    #[test]
    fn an_older_key_opens_until_it_leaves_the_ring() {
        let old = KeyRing::new(key(1));
        let sealed = old.seal(&Secret::new("canary"), CONTEXT).unwrap();
        let rotated = KeyRing::new(key(2)).with_older(key(1));
        assert_eq!(rotated.open(&sealed, CONTEXT).unwrap(), Secret::new("canary"));
        assert!(old.is_current(&sealed) && !rotated.is_current(&sealed));
        let renewed = rotated.seal(&Secret::new("canary"), CONTEXT).unwrap();
        assert!(rotated.is_current(&renewed));
        let error = old.open(&renewed, CONTEXT).unwrap_err();
        assert_eq!(
            error,
            SealError::UnknownKey {
                key_id: rotated.current_id()
            }
        );
    }

    #[test]
    fn a_key_file_is_made_once_and_read_in_both_forms() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        assert!(matches!(
            SealKey::load(&path, IfMissing::Refuse),
            Err(KeyError::Read { .. })
        ));
        let made = SealKey::load(&path, IfMissing::Create).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SealKey::load(&path, IfMissing::Create).unwrap().id(), made.id());
        fs::write(&path, *made.bytes).unwrap();
        assert_eq!(SealKey::load(&path, IfMissing::Refuse).unwrap().id(), made.id());
        for bad in [&b"short"[..], &[b'x'; 64], &[b'0'; 65], &[7; 500], &[7; 33], b""] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(
                SealKey::load(&path, IfMissing::Create),
                Err(KeyError::Form { .. })
            ));
        }
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let key = SealKey::load(&path, IfMissing::Create).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = SealKey::load(&path, IfMissing::Create).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let again = SealKey::load(&path, IfMissing::Refuse).unwrap();
        assert_eq!(again.id(), key.id());
    }
}
