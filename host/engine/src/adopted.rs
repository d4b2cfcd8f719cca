//! Accounts that another program keeps: taken over as that program has them, again and again.
//!
//! An account that is added by the admin interface has to be usable to be taken. One that another program keeps is there whatever
//! becomes of it here: it is kept without a connector too, so that the reason is told wherever it is used (NG-RO D11), and so that it
//! works as soon as its plugin is loaded. Of what is kept here only the grants are the operator's own, and they survive every edit.
//!
//! Taking over the same content again writes nothing, and every write is a compare-and-set on the account's revision. So any
//! number of hosts may do it at once, and a host that dies half-way leaves nothing to mend.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use vimhost_model::{AccountSource, AccountState, Grants, Secret, TargetId};
use vimhost_store::{StoredAccount, seal::KeyRing};

use crate::accounts::{internal, open, seal_context};
use crate::{AccountView, Engine, Error};

/// How often an account is read anew because somebody changed it in between. Two or three hosts that take it over at once need as
/// many; more means that something is wrong.
const TRIES: usize = 8;

/// Accounts that are listed at once.
const PAGE: usize = 200;

/// What a program that keeps an account says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountContent {
    /// Kind and id.
    pub target: TargetId,
    /// Name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Chooses the plugin.
    pub vim_type: String,
    /// URL.
    pub url: String,
    /// User name.
    pub user: Option<String>,
    /// Project or tenant.
    pub tenant: Option<String>,
    /// Settings of the connector; no secrets.
    pub config: Map<String, Value>,
    /// Secrets by credential slot.
    pub credentials: BTreeMap<String, Secret>,
    /// PEM of certificate authorities.
    pub ca_certificates: Option<String>,
    /// TLS certificates are not verified.
    pub insecure_tls: bool,
}

/// How the error of an account begins whose owner has it lead elsewhere while something is on it.
const WITHHELD: &str = "the change of the account is not taken over yet";

/// What taking an account over has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// Nothing.
    Unchanged,
    /// It was not there.
    Added,
    /// It was there, with another content.
    Changed,
    /// Nothing for now: it would lead elsewhere while something is on it. Why, and what to do.
    Withheld(String),
}

impl Engine {
    /// Makes an account what another program says about it. What changed is to be checked: [`Engine::check_account`].
    ///
    /// An account of that id that was vimhost's own belongs to that program from then on, and keeps its grants.
    ///
    /// Nobody can be refused here. A content by which the account would lead elsewhere is not taken as long as something is on it, none of
    /// it: what is there is driven, and can be deleted, where it is. The account says so in its state. Whoever calls this calls it again.
    ///
    /// # Errors
    /// When the store cannot be read or written, or a secret cannot be sealed.
    pub async fn adopt_account(&self, content: &AccountContent, source: AccountSource) -> Result<Adopted, Error> {
        let target = &content.target;
        for _ in 0..TRIES {
            let kept = self
                .store
                .account(target)
                .await
                .map_err(|error| Error::of_store("reading an account", error))?;
            let (account, expected, adopted) = match kept {
                None => (self.new_account(content, source)?, None, Adopted::Added),
                Some(kept) => {
                    let revision = Some(kept.revision);
                    let Some(account) = self.overwritten(&kept, content, source)? else {
                        return Ok(Adopted::Unchanged);
                    };
                    match self.refuses_to_move(&kept, &account).await? {
                        None => (account, revision, Adopted::Changed),
                        Some(reason) => {
                            let reason = format!("{WITHHELD}: {reason}");
                            let state = AccountState::Error(reason.clone());
                            if kept.state == state {
                                return Ok(Adopted::Withheld(reason));
                            }
                            let mut account = kept;
                            account.state = state;
                            account.warnings.clear();
                            account.modified_at = self.clock.now();
                            (account, revision, Adopted::Withheld(reason))
                        }
                    }
                }
            };
            match self.store.put_account(account, expected).await {
                Ok(_) => {
                    self.forget_connector(target).await;
                    return Ok(adopted);
                }
                // Another host was first, or the operator granted something: what is there now is compared again.
                Err(vimhost_store::Error::Conflict { .. }) => {}
                Err(error) => return Err(Error::of_store("taking an account over", error)),
            }
        }
        Err(Error::Unavailable {
            reason: format!("account '{}' is being changed by others; try again", target.account),
        })
    }

    /// The accounts that a program keeps.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accounts_of(&self, source: AccountSource) -> Result<Vec<AccountView>, Error> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.accounts(after.as_deref(), PAGE).await?;
            found.extend(page.entries.into_iter().filter(|account| account.source == source));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    fn new_account(&self, content: &AccountContent, source: AccountSource) -> Result<StoredAccount, Error> {
        let now = self.clock.now();
        let mut account = StoredAccount {
            target: content.target.clone(),
            name: String::new(),
            description: String::new(),
            vim_type: content.vim_type.clone(),
            url: String::new(),
            user: None,
            tenant: None,
            config: Map::new(),
            credentials: BTreeMap::new(),
            ca_certificates: None,
            insecure_tls: false,
            // As for an account that is added by hand: whoever adds it approves what its plugin asks for.
            grants: Grants {
                approved_rules: self.rules_digest(&content.vim_type),
                ..Grants::default()
            },
            source,
            state: AccountState::Processing,
            warnings: Vec::new(),
            removing: false,
            created_at: now,
            modified_at: now,
            revision: 0,
        };
        write(&mut account, content, &self.keys)?;
        Ok(account)
    }

    /// The account with another content; none when it has this one. Where another one was withheld and is not wanted any more, its state
    /// is to be found out again.
    fn overwritten(
        &self,
        kept: &StoredAccount,
        content: &AccountContent,
        source: AccountSource,
    ) -> Result<Option<StoredAccount>, Error> {
        let mut grants = kept.grants.clone();
        // Nobody has approved anything for a plugin that was not there, or for one of another type.
        if grants.approved_rules.is_none() || kept.vim_type != content.vim_type {
            grants.approved_rules = self.rules_digest(&content.vim_type);
        }
        let is_same =
            kept.source == source && kept.grants == grants && !kept.removing && says(kept, content, &self.keys);
        if is_same && !is_withheld(&kept.state) {
            return Ok(None);
        }
        let mut account = kept.clone();
        write(&mut account, content, &self.keys)?;
        account.grants = grants;
        account.source = source;
        // It is there again.
        account.removing = false;
        account.state = AccountState::Processing;
        account.warnings.clear();
        account.modified_at = self.clock.now();
        Ok(Some(account))
    }
}

fn is_withheld(state: &AccountState) -> bool {
    matches!(state, AccountState::Error(reason) if reason.starts_with(WITHHELD))
}

/// Whether an account has a content. One whose secrets cannot be opened any more has none: it gets them again.
fn says(account: &StoredAccount, content: &AccountContent, keys: &KeyRing) -> bool {
    let Ok(opened) = open(account, keys) else {
        return false;
    };
    let of_account = AccountContent {
        target: opened.target,
        name: opened.name,
        description: account.description.clone(),
        vim_type: opened.vim_type,
        url: opened.url,
        user: opened.user,
        tenant: opened.tenant,
        config: opened.config,
        credentials: opened.credentials,
        ca_certificates: opened.ca_certificates,
        insecure_tls: opened.insecure_tls,
    };
    of_account == *content
}

fn write(account: &mut StoredAccount, content: &AccountContent, keys: &KeyRing) -> Result<(), Error> {
    let AccountContent {
        target,
        name,
        description,
        vim_type,
        url,
        user,
        tenant,
        config,
        credentials,
        ca_certificates,
        insecure_tls,
    } = content.clone();
    let mut sealed = BTreeMap::new();
    for (slot, secret) in &credentials {
        let text = keys
            .seal(secret, &seal_context(&target, slot))
            .map_err(|error| internal("sealing a credential", error))?;
        sealed.insert(slot.clone(), text);
    }
    account.name = name;
    account.description = description;
    account.vim_type = vim_type;
    account.url = url;
    account.user = user;
    account.tenant = tenant;
    account.config = config;
    account.credentials = sealed;
    account.ca_certificates = ca_certificates;
    account.insecure_tls = insecure_tls;
    Ok(())
}
