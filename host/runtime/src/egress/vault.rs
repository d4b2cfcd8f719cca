//! Handles and the secrets they stand for, per account.
//!
//! A guest never holds a secret. It holds a random text with a recognisable beginning, which is worth nothing outside of the
//! account and is replaced by the secret only at the places its plugin declared.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use vimhost_connector::CredentialUse;
use vimhost_model::{Secret, hex};

use super::needles::Needles;
use crate::Error;
use crate::random::bytes;

/// How every handle begins.
pub(super) const PREFIX: &str = "vhcred-";
/// Hexadecimal digits after it.
const DIGITS: usize = 32;

/// What a handle stands for.
#[derive(Clone)]
pub(super) struct Credential {
    /// Its name in the descriptor, for error messages.
    pub(super) name: Arc<str>,
    pub(super) secret: Secret,
    pub(super) uses: Arc<[CredentialUse]>,
}

struct Entry {
    credential: Credential,
    /// When it was used last; none for what the operator entered, which stays.
    used: Option<AtomicU64>,
}

/// The handles of an account.
pub(crate) struct Vault {
    inner: RwLock<Inner>,
    limit: usize,
    clock: AtomicU64,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<String, Entry>,
    needles: Arc<Needles>,
    /// Forms that belong to no entry alone: user and password of basic authentication.
    forms: Vec<zeroize::Zeroizing<Vec<u8>>>,
}

impl Inner {
    fn look_for_secrets(&mut self) {
        let mut needles = Needles::default();
        for entry in self.entries.values() {
            needles.add(entry.credential.secret.expose());
        }
        for form in &self.forms {
            needles.add_form(form.to_vec());
        }
        self.needles = Arc::new(needles);
    }
}

impl Vault {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inner: RwLock::default(),
            limit,
            clock: AtomicU64::new(0),
        }
    }

    /// Keeps a credential that the operator entered.
    pub(crate) fn keep(&self, name: &str, secret: Secret, uses: &[CredentialUse]) -> Result<String, Error> {
        self.insert(name, secret, uses, None)
    }

    /// Keeps a credential out of an answer; the one not used for longest makes room.
    pub(super) fn keep_answer(&self, name: &str, secret: Secret, uses: &[CredentialUse]) -> Result<String, Error> {
        let now = AtomicU64::new(self.tick());
        self.insert(name, secret, uses, Some(now))
    }

    fn insert(
        &self,
        name: &str,
        secret: Secret,
        uses: &[CredentialUse],
        used: Option<AtomicU64>,
    ) -> Result<String, Error> {
        let handle = format!("{PREFIX}{}", hex(&bytes::<{ DIGITS / 2 }>()?));
        let credential = Credential {
            name: name.into(),
            secret,
            uses: uses.into(),
        };
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.entries.insert(handle.clone(), Entry { credential, used });
        let age = |entry: &Entry| entry.used.as_ref().map(|used| used.load(Ordering::Relaxed));
        let answers = inner.entries.values().filter(|entry| entry.used.is_some()).count();
        if answers > self.limit
            && let Some((_, oldest)) = inner
                .entries
                .iter()
                .filter_map(|(handle, entry)| Some((age(entry)?, handle.clone())))
                .min()
        {
            inner.entries.remove(&oldest);
        }
        inner.look_for_secrets();
        Ok(handle)
    }

    /// What a handle stands for.
    pub(super) fn get(&self, handle: &str) -> Option<Credential> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let entry = inner.entries.get(handle)?;
        if let Some(used) = &entry.used {
            used.store(self.tick(), Ordering::Relaxed);
        }
        Some(entry.credential.clone())
    }

    /// Looks for one more form of a secret in answers.
    pub(super) fn look_for(&self, form: Vec<u8>) {
        let form = zeroize::Zeroizing::new(form);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if !inner.forms.contains(&form) && inner.forms.len() < self.limit {
            inner.forms.push(form);
            inner.look_for_secrets();
        }
    }

    /// What to look for in answers.
    pub(super) fn needles(&self) -> Arc<Needles> {
        Arc::clone(&self.inner.read().unwrap_or_else(PoisonError::into_inner).needles)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }
}

/// The handles that stand in a text.
pub(super) fn handles_in(text: &[u8]) -> Vec<String> {
    let length = PREFIX.len() + DIGITS;
    text.windows(length)
        .filter(|window| is_handle(window))
        .map(|window| String::from_utf8_lossy(window).into_owned())
        .collect()
}

/// Whether a text is exactly a handle.
pub(super) fn is_handle(text: &[u8]) -> bool {
    text.strip_prefix(PREFIX.as_bytes())
        .is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_dropped_by_last_use_and_passwords_stay() {
        let vault = Vault::new(2);
        let password = vault.keep("password", Secret::new("hunter2"), &[]).unwrap();
        let first = vault.keep_answer("token", Secret::new("t1"), &[]).unwrap();
        let second = vault.keep_answer("token", Secret::new("t2"), &[]).unwrap();
        assert_eq!(vault.get(&first).unwrap().secret.expose(), "t1");
        let third = vault.keep_answer("token", Secret::new("t3"), &[]).unwrap();
        assert!(vault.get(&second).is_none());
        assert!(
            [&password, &first, &third]
                .iter()
                .all(|handle| vault.get(handle).is_some())
        );
        assert!(is_handle(password.as_bytes()) && password.len() == 39);
        assert_eq!(handles_in(format!("x{first}y{third}").as_bytes()), [first, third]);
        assert!(handles_in(b"vhcred-notahandle").is_empty());
    }
}
