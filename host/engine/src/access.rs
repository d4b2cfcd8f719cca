//! Who may use the admin interface, and the trace of what they changed.
//!
//! A token is `vimhost_<id>_<secret>`. The id finds what is kept of it; the secret has 256 random bits, so its plain SHA-256 is
//! enough at rest: there is nothing to guess. It is shown once, to whoever made it.

use std::fmt::Write as _;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use vimhost_model::{AccessToken, AuditEntry, AuditId, Role, Secret, Timestamp, TokenId, TokenState};
use vimhost_store::{AuditFilter, Page};

use crate::accounts::internal;
use crate::{Engine, Error};

/// What every token begins with, so that a program that looks for leaked secrets knows one.
const PREFIX: &str = "vimhost_";

/// Hexadecimal digits of a token's id: unique among some thousand, short enough to type.
const ID_DIGITS: usize = 12;

/// The longest life of a token that has an end: ten years, beyond which it has none in effect.
const LONGEST_LIFE: u64 = 10 * 366 * 86_400;

/// A token to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// For people: who or what uses it.
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// Seconds after which it is no longer taken; without it the token has no end.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 316_224_000)]
    pub lifetime_seconds: Option<u64>,
}

/// SHA-256 as it is kept.
fn digest_of(token: &str) -> String {
    vimhost_model::hex(&Sha256::digest(token.as_bytes()))
}

/// The id in a token.
fn id_of(token: &str) -> Option<TokenId> {
    let (id, _) = token.strip_prefix(PREFIX)?.split_once('_')?;
    TokenId::new(id).ok()
}

impl Engine {
    /// Makes a token. The second part of the answer is the token itself, which is kept nowhere.
    ///
    /// # Errors
    /// When the name or the lifetime is out of bounds, or the store cannot be written.
    pub async fn make_token(&self, new: NewToken, by: &str) -> Result<(AccessToken, Secret), Error> {
        if new.name.is_empty() || new.name.len() > 255 {
            return Err(Error::shape("name", "is not a text of 1 to 255 characters"));
        }
        if new
            .lifetime_seconds
            .is_some_and(|life| life == 0 || life > LONGEST_LIFE)
        {
            return Err(Error::shape(
                "lifetime_seconds",
                format!("is not a number from 1 to {LONGEST_LIFE}"),
            ));
        }
        let mut random = zeroize::Zeroizing::new([0_u8; 32 + ID_DIGITS / 2]);
        getrandom::fill(random.as_mut()).map_err(|error| internal("reading random bytes", error))?;
        let mut digits = zeroize::Zeroizing::new(String::with_capacity(random.len() * 2));
        for byte in random.iter() {
            // Writing to a text does not fail.
            let _ = write!(digits, "{byte:02x}");
        }
        let (id, secret) = digits.split_at(ID_DIGITS);
        let text = zeroize::Zeroizing::new(format!("{PREFIX}{id}_{secret}"));
        let now = self.clock.now();
        let token = AccessToken {
            id: TokenId::new(id).map_err(|error| internal("naming a token", error))?,
            name: new.name,
            role: new.role,
            digest: digest_of(&text),
            created_at: now,
            created_by: by.to_owned(),
            expires_at: new
                .lifetime_seconds
                .map(|life| now.plus(std::time::Duration::from_secs(life))),
            revoked_at: None,
        };
        self.store
            .add_token(&token)
            .await
            .map_err(|error| Error::of_store("keeping a token", error))?;
        Ok((token, Secret::new(text.as_str())))
    }

    /// The token behind a text that somebody brought, if it is taken.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn bearer(&self, text: &str) -> Result<Option<AccessToken>, Error> {
        let Some(id) = id_of(text) else { return Ok(None) };
        let kept = self
            .store
            .token(&id)
            .await
            .map_err(|error| Error::of_store("reading a token", error))?;
        let brought = digest_of(text);
        // To the end of both, so that the time tells nothing about how near a guess came.
        Ok(kept.filter(|kept| {
            bool::from(kept.digest.as_bytes().ct_eq(brought.as_bytes()))
                && kept.state(self.clock.now()) == TokenState::Active
        }))
    }

    /// Whether any token was ever made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_tokens(&self) -> Result<bool, Error> {
        let page = self.tokens(None, 1).await?;
        Ok(!page.entries.is_empty())
    }

    /// Tokens, ended ones too, a page at a time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tokens(&self, after: Option<&str>, limit: usize) -> Result<Page<AccessToken>, Error> {
        self.store
            .tokens(after, limit)
            .await
            .map_err(|error| Error::of_store("listing tokens", error))
    }

    /// A token, whatever its state.
    ///
    /// # Errors
    /// When there is none.
    pub async fn token(&self, id: &TokenId) -> Result<AccessToken, Error> {
        self.store
            .token(id)
            .await
            .map_err(|error| Error::of_store("reading a token", error))?
            .ok_or_else(|| Error::not_found("token", id))
    }

    /// Revokes a token, from the next request on and on every host. Revoking it again changes nothing.
    ///
    /// # Errors
    /// When there is none, or the store cannot be written.
    pub async fn revoke_token(&self, id: &TokenId) -> Result<AccessToken, Error> {
        match self.store.revoke_token(id, self.clock.now()).await {
            Err(vimhost_store::Error::Missing { .. }) => Err(Error::not_found("token", id)),
            other => other.map_err(|error| Error::of_store("revoking a token", error)),
        }
    }

    /// An id for a new entry of the audit log, and the time.
    #[must_use]
    pub fn new_audit_id(&self) -> (AuditId, Timestamp) {
        (AuditId::ordered_with("audit"), self.clock.now())
    }

    /// Whether a token's state lets it be used now.
    #[must_use]
    pub fn token_state(&self, token: &AccessToken) -> TokenState {
        token.state(self.clock.now())
    }

    /// Writes an entry of the audit log; a second time under its id with its outcome.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn write_audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        self.store
            .write_audit(entry)
            .await
            .map_err(|error| Error::of_store("writing the audit log", error))
    }

    /// Entries of the audit log, newest first; those from `since` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        since: Option<Timestamp>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, Error> {
        let page = self.store.audit(filter, after, limit).await;
        let page = page.map_err(|error| Error::of_store("reading the audit log", error))?;
        Ok(from(page, since, |entry| entry.at))
    }

    /// Keeps the newest entries of the audit log only.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn trim_audit(&self, keep: usize) -> Result<(), Error> {
        self.store
            .trim_audit(keep)
            .await
            .map_err(|error| Error::of_store("trimming the audit log", error))
    }
}

/// The part of a page, newest first, that is not older than `since`; where something is older, everything after it is too.
pub(crate) fn from<T>(page: Page<T>, since: Option<Timestamp>, at: impl Fn(&T) -> Timestamp) -> Page<T> {
    let Some(since) = since else { return page };
    let before = page.entries.len();
    let entries: Vec<T> = page
        .entries
        .into_iter()
        .take_while(|entry| at(entry) >= since)
        .collect();
    let next = page.next.filter(|_| entries.len() == before);
    Page { entries, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_id() {
        assert_eq!(id_of("vimhost_0a1b_secret").unwrap().as_str(), "0a1b");
        for text in ["", "vimhost_", "vimhost__x", "0a1b_secret", "vimhost_0a1b"] {
            assert_eq!(id_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_page_ends_where_it_gets_too_old() {
        let page = || Page {
            entries: vec![5, 4, 3, 2],
            next: Some("x".to_owned()),
        };
        let at = |number: &i64| Timestamp(*number);
        assert_eq!(from(page(), None, at), page());
        assert_eq!(from(page(), Some(Timestamp(2)), at), page());
        let cut = from(page(), Some(Timestamp(4)), at);
        assert_eq!((cut.entries, cut.next), (vec![5, 4], None));
    }
}
