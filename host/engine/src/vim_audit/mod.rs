//! Comparing what an account's VIM has of ours with what the records say.
//!
//! An audit goes kind by kind, a page of the connector's listing (`list-owned` of the contract) at a time, and whoever runs it takes one
//! step after the other, so neither a large VIM nor a large store is ever held in memory. It changes nothing, and any host may
//! run it, whoever drives the account.
//!
//! **What nobody owns.** The host goes on working meanwhile, so one look proves nothing. The store is read *after* the listing:
//! an element is announced on disk before it is asked for, so one that is listed and not announced is not being made. And what
//! seems to be nobody's is listed and looked up a second time: an element that went between listing and reading is not in the second
//! listing. Only what both say is told.
//!
//! **What is missing.** Ids that were listed are remembered as hashes of 8 bytes. What records name and no listing showed is
//! observed, and only the VIM's own "does not exist" counts; that also serves elements without a token, which were found or taken over.
//! Two ids of one hash would hide a missing element; nothing else depends on it.
//!
//! **Whose.** All tokens of an installation begin with letters that its store drew. The connector is asked for every token,
//! and those of another installation are told as such: they may be a colleague's, or what is left of a host whose database was lost.

mod finding;
mod mark;
mod owner;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use futures_util::future::join_all;
use vimhost_connector::{Connector, ElementKind, Error as CallError, ErrorKind, Owned, StackRef};
use vimhost_model::vnf::VnfInstance;
use vimhost_model::{Item, NsrId, Resource, ResourceId, TargetId, VimId, VnfInstanceId};
use vimhost_store::Store;

pub use finding::{AuditPage, Finding, Verdict};

use crate::{Engine, Error, lcm};
use finding::Suspect;
use mark::Mark;
use owner::{names, unowned};

/// Records that name elements of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Records {
    /// Resources of an item.
    Of(Item),
    /// VNF instances: each names its stack.
    Instances,
}

/// The kinds in the order they are looked at, each with the records that name such elements: what costs most to leave behind comes
/// first.
const KINDS: [(ElementKind, Option<Records>); 10] = [
    (ElementKind::Server, Some(Records::Of(Item::Vdu))),
    (ElementKind::Port, None),
    (ElementKind::FloatingAddress, None),
    (ElementKind::Volume, Some(Records::Of(Item::SharedVolume))),
    (ElementKind::Network, Some(Records::Of(Item::Net))),
    (ElementKind::Group, Some(Records::Of(Item::AffinityGroup))),
    (ElementKind::Flavour, Some(Records::Of(Item::Flavor))),
    (ElementKind::Image, Some(Records::Of(Item::Image))),
    (ElementKind::Stack, Some(Records::Instances)),
    (ElementKind::ConnectivityService, Some(Records::Of(Item::SdnNet))),
];

/// Documents that are read at once: enough for a database over a network to be busy, few enough to be held in memory whatever
/// is in them.
const READS_AT_ONCE: usize = 32;

/// Records of one step. The contract lets a connector be asked for a thousand at once; most of them have been listed.
const RECORDS: usize = 500;

/// Ids of a kind that are remembered: about 20 MB. A project with more is told that its missing elements were not looked for.
const MOST_REMEMBERED: usize = 1 << 20;

/// How often a page is looked at again because it has suspects that the look before did not have. Deletions that take several of these
/// in a row are rare; what is not decided then is told.
const LOOKS: usize = 4;

/// Pages of one observation that are read in a row.
const MOST_PAGES: usize = 1000;

/// Pages of a kind: a million servers at fifty a page. A listing that has more does not end.
const MOST_LISTED: usize = 20_000;

const READING: &str = "comparing an account with its records";

const TOO_MANY: &str = "there are too many to remember, so missing ones were not looked for";

/// Where an audit is within a kind.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Listing what the VIM has, from this cursor on.
    Listed(Option<Vec<u8>>),
    /// Looking at records from this cursor on, for what the listing has not shown.
    Recorded(Records, Option<String>),
}

/// A comparison under way. Dropping it ends it.
pub struct VimAudit {
    store: Arc<dyn Store>,
    connector: Arc<dyn Connector>,
    installation: String,
    target: TargetId,
    /// Kinds that carry tokens, as the plugin declares; none when no plugin says.
    declared: Option<BTreeSet<ElementKind>>,
    /// Index in [`KINDS`].
    at: usize,
    stage: Stage,
    /// Pages of the kind that were listed.
    listed: usize,
    hasher: RandomState,
    remembered: HashSet<u64>,
}

/// What came of listing a page.
enum Listing {
    /// It was looked at; and where the next one begins.
    Page(AuditPage, Option<Vec<u8>>),
    /// It could not be.
    NotSeen(AuditPage),
    /// The connector makes nothing of this kind.
    Nothing,
}

impl Engine {
    /// Begins to compare an account with its records. Changes nothing, neither here nor in the VIM.
    ///
    /// # Errors
    /// When there is no such account, or it cannot be used.
    pub async fn audit_vim(&self, target: &TargetId) -> Result<VimAudit, Error> {
        let account = self.stored_account(target).await?;
        let declared = self.plugin_for(&account.vim_type).and_then(|plugin| plugin.descriptor);
        let declared = declared.map(|descriptor| descriptor.tokens.iter().map(|place| place.kind).collect());
        Ok(VimAudit {
            store: self.store.clone(),
            connector: self.connector(&account).await?,
            installation: self.installation.clone(),
            target: target.clone(),
            declared,
            at: 0,
            stage: Stage::Listed(None),
            listed: 0,
            hasher: RandomState::new(),
            remembered: HashSet::new(),
        })
    }
}

impl VimAudit {
    /// Takes the next step; none when everything has been looked at.
    ///
    /// A kind that the VIM does not show, to this user or at all, is a finding, and the others go on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn step(&mut self) -> Result<Option<AuditPage>, Error> {
        while let Some((kind, records)) = KINDS.get(self.at).copied() {
            match std::mem::replace(&mut self.stage, Stage::Listed(None)) {
                Stage::Listed(after) => match self.look(kind, after).await? {
                    Listing::Page(mut page, Some(next)) => {
                        self.listed = self.listed.saturating_add(1);
                        if self.listed < MOST_LISTED {
                            self.stage = Stage::Listed(Some(next));
                            return Ok(Some(page));
                        }
                        self.turn();
                        let endless = AuditPage::not_seen(kind, "the connector's listing does not end");
                        page.findings.extend(endless.findings);
                        return Ok(Some(page));
                    }
                    Listing::Page(page, None) => {
                        match records {
                            Some(records) => self.stage = Stage::Recorded(records, None),
                            None => self.turn(),
                        }
                        return Ok(Some(page));
                    }
                    Listing::NotSeen(page) => {
                        self.turn();
                        return Ok(Some(page));
                    }
                    Listing::Nothing => self.turn(),
                },
                Stage::Recorded(records, after) => {
                    let (page, next) = match records {
                        Records::Of(item) => self.recorded(kind, item, after.as_deref()).await?,
                        Records::Instances => self.recorded_stacks(after.as_deref()).await?,
                    };
                    match next {
                        Some(next) => self.stage = Stage::Recorded(records, Some(next)),
                        None => self.turn(),
                    }
                    if page.looked_at > 0 || !page.findings.is_empty() {
                        return Ok(Some(page));
                    }
                }
            }
        }
        Ok(None)
    }

    /// On to the next kind.
    fn turn(&mut self) {
        self.at = self.at.saturating_add(1);
        self.stage = Stage::Listed(None);
        self.listed = 0;
        self.remembered.clear();
    }

    /// A page of what the VIM has, compared with the store until two looks in a row say the same of what seems to be nobody's.
    async fn look(&mut self, kind: ElementKind, after: Option<Vec<u8>>) -> Result<Listing, Error> {
        let mut before: HashSet<(VimId, String)> = HashSet::new();
        let mut looks = 0_usize;
        loop {
            looks = looks.saturating_add(1);
            let page = match self.connector.list_owned(kind, "", after.clone()).await {
                Ok(page) => page,
                Err(error) if error.kind == ErrorKind::Unsupported && self.makes_none(kind) => {
                    return Ok(Listing::Nothing);
                }
                Err(error) => return Ok(Listing::NotSeen(AuditPage::failed(kind, &error))),
            };
            if page.cursor.is_some() && page.cursor == after {
                let reason = "the connector's listing does not come forward";
                return Ok(Listing::NotSeen(AuditPage::not_seen(kind, reason)));
            }
            for element in &page.elements {
                self.remember(&element.id);
            }
            let mut suspects = self.suspects(kind, &page.elements).await?;
            let is_known = |suspect: &Suspect| before.contains(&suspect.key());
            let is_sure = suspects.iter().all(is_known);
            if !is_sure && looks < LOOKS {
                before = suspects.iter().map(Suspect::key).collect();
                continue;
            }
            suspects.retain(is_known);
            let looked_at = page.elements.len();
            let mut findings = self.of_others(kind, &page.elements);
            findings.extend(suspects.into_iter().map(|suspect| suspect.finding(kind)));
            if !is_sure {
                let reason =
                    "elements came and went while they were looked at; what is told is sure, and there may be more";
                findings.extend(AuditPage::not_seen(kind, reason).findings);
            }
            let told = AuditPage {
                kind,
                looked_at,
                findings,
            };
            return Ok(Listing::Page(told, page.cursor));
        }
    }

    /// Whether a connector that does not list a kind has nothing of it either.
    fn makes_none(&self, kind: ElementKind) -> bool {
        self.declared.as_ref().is_none_or(|declared| !declared.contains(&kind))
    }

    fn remember(&mut self, id: &VimId) {
        // One more than fits says that some are not remembered.
        if self.remembered.len() <= MOST_REMEMBERED {
            self.remembered.insert(self.hasher.hash_one(id.as_str()));
        }
    }

    fn of_others(&self, kind: ElementKind, elements: &[Owned]) -> Vec<Finding> {
        let of_another = |element: &Owned| {
            let mark = Mark::of(&element.token, &self.installation)?;
            (mark.installation != self.installation).then(|| Finding::of_another(kind, element, &mark))
        };
        elements.iter().filter_map(of_another).collect()
    }

    /// Those of a page that carry our mark and that no record owns, by the store as it is now.
    async fn suspects(&self, kind: ElementKind, elements: &[Owned]) -> Result<Vec<Suspect>, Error> {
        let mut by_record: BTreeMap<ResourceId, Vec<&Owned>> = BTreeMap::new();
        for element in elements {
            let mark = Mark::of(&element.token, &self.installation);
            if let Some(mark) = mark.filter(|mark| mark.installation == self.installation) {
                by_record.entry(mark.resource).or_default().push(element);
            }
        }
        let ids: Vec<ResourceId> = by_record.keys().cloned().collect();
        let mut suspects = Vec::new();
        for some in ids.chunks(READS_AT_ONCE) {
            let resources = self.resources(some).await?;
            for (id, resource) in some.iter().zip(&resources) {
                for element in by_record.get(id).into_iter().flatten() {
                    if let Some(why) = unowned(resource.as_ref(), element) {
                        suspects.push(Suspect::new(element, why, resource.as_ref()));
                    }
                }
            }
        }
        if kind == ElementKind::Volume {
            self.release_handed_on(&mut suspects).await?;
        }
        if kind == ElementKind::Stack {
            self.release_of_instances(&mut suspects).await?;
        }
        Ok(suspects)
    }

    /// Releases stacks of VNF instances. The token of one names the operation that made it: it owns the stack until it is over, then
    /// its instance does.
    async fn release_of_instances(&self, suspects: &mut Vec<Suspect>) -> Result<(), Error> {
        let mut left = Vec::new();
        for suspect in std::mem::take(suspects) {
            let (id, token) = suspect.key();
            if !lcm::owns_stack(&*self.store, &self.installation, &id, &token).await? {
                left.push(suspect);
            }
        }
        *suspects = left;
        Ok(())
    }

    /// Releases volumes that another record owns than the one in their token: those of a VM go to the one that is made in its place,
    /// with their tokens and their entries of the journal.
    async fn release_handed_on(&self, suspects: &mut Vec<Suspect>) -> Result<(), Error> {
        let services: BTreeSet<NsrId> = suspects
            .iter()
            .flat_map(|suspect| suspect.services.iter().cloned())
            .collect();
        for nsr in &services {
            let resources = self.store.resources_of(nsr).await;
            release(suspects, &resources.map_err(|error| Error::of_store(READING, error))?);
        }
        // The old VM's record may be forgotten while the new one's is there; then nothing leads from the one to the other.
        let has_no_record = |suspect: &Suspect| suspect.services.is_empty();
        let mut after: Option<String> = None;
        while suspects.iter().any(has_no_record) {
            let page = self
                .store
                .elements(&self.target, Item::Vdu, after.as_deref(), RECORDS)
                .await
                .map_err(|error| Error::of_store(READING, error))?;
            let ids: Vec<ResourceId> = page.entries.into_iter().map(|element| element.resource).collect();
            for some in ids.chunks(READS_AT_ONCE) {
                let resources: Vec<Resource> = self.resources(some).await?.into_iter().flatten().collect();
                release(suspects, &resources);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        while suspects.iter().any(has_no_record) {
            let page = self
                .store
                .unsettled(&self.target, after.as_deref(), READS_AT_ONCE)
                .await
                .map_err(|error| Error::of_store(READING, error))?;
            release(suspects, &page.entries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Documents by their ids, in this order.
    async fn resources(&self, ids: &[ResourceId]) -> Result<Vec<Option<Resource>>, Error> {
        let reads = ids.iter().map(|id| self.store.resource(id));
        let read: Result<Vec<_>, _> = join_all(reads).await.into_iter().collect();
        read.map_err(|error| Error::of_store(READING, error))
    }

    /// A page of records, of which those are observed that the listing has not shown; and where the next one begins.
    async fn recorded(
        &self,
        kind: ElementKind,
        item: Item,
        after: Option<&str>,
    ) -> Result<(AuditPage, Option<String>), Error> {
        if self.remembered.len() > MOST_REMEMBERED {
            return Ok((AuditPage::not_seen(kind, TOO_MANY), None));
        }
        let page = self
            .store
            .elements(&self.target, item, after, RECORDS)
            .await
            .map_err(|error| Error::of_store(READING, error))?;
        let looked_at = page.entries.len();
        let mut unlisted: BTreeMap<VimId, Vec<ResourceId>> = BTreeMap::new();
        for element in page.entries {
            if !self.remembered.contains(&self.hasher.hash_one(element.vim_id.as_str())) {
                unlisted.entry(element.vim_id).or_default().push(element.resource);
            }
        }
        let ids: Vec<VimId> = unlisted.keys().cloned().collect();
        let gone = match self.gone(kind, &ids).await {
            Ok(gone) => gone,
            // Those without a token cannot be looked at; nothing else is said of them.
            Err(error) => return Ok((AuditPage::failed(kind, &error), None)),
        };
        let mut findings = Vec::new();
        for id in gone {
            let records = unlisted.remove(&id).unwrap_or_default();
            for some in records.chunks(READS_AT_ONCE) {
                // Read after the VIM has said so: one that was deleted by request meanwhile is not missing.
                for resource in self.resources(some).await?.iter().flatten() {
                    let is_wanted = resource.live_creates().next().is_some() && !resource.has_open_tasks();
                    if is_wanted && resource.vim.vim_id.as_ref() == Some(&id) {
                        findings.push(Finding::missing(kind, id.clone(), resource));
                    }
                }
            }
        }
        let told = AuditPage {
            kind,
            looked_at,
            findings,
        };
        Ok((told, page.next))
    }

    /// The same of stacks, which are observed by a call of their own.
    async fn recorded_stacks(&self, after: Option<&str>) -> Result<(AuditPage, Option<String>), Error> {
        let kind = ElementKind::Stack;
        let failed = |error| Error::of_store(READING, error);
        if self.remembered.len() > MOST_REMEMBERED {
            return Ok((AuditPage::not_seen(kind, TOO_MANY), None));
        }
        let page = self.store.vnf_instances_on(&self.target, after, RECORDS).await;
        let page = page.map_err(failed)?;
        let looked_at = page.entries.len();
        let mut unlisted: Vec<(VnfInstanceId, StackRef)> = Vec::new();
        for instance in &page.entries {
            let Some(stack) = lcm::stack_of(instance) else { continue };
            let is_listed = |id: &VimId| self.remembered.contains(&self.hasher.hash_one(id.as_str()));
            if !stack.id.as_ref().is_some_and(is_listed) {
                unlisted.push((instance.id.clone(), stack));
            }
        }
        let stacks: Vec<StackRef> = unlisted.iter().map(|(_, stack)| stack.clone()).collect();
        let gone = match self.gone_stacks(&stacks).await {
            Ok(gone) => gone,
            Err(error) => return Ok((AuditPage::failed(kind, &error), None)),
        };
        let mut findings = Vec::new();
        for (id, stack) in unlisted.into_iter().filter(|(_, stack)| gone.contains(stack)) {
            // Read after the VIM has said so: one that was deleted by request meanwhile is not missing.
            let instance = self.store.vnf_instance(&id).await.map_err(failed)?;
            let is_its = |instance: &VnfInstance| {
                instance.own.operation.is_none() && lcm::stack_of(instance).as_ref() == Some(&stack)
            };
            if instance.as_ref().is_some_and(is_its) {
                findings.push(Finding::missing_stack(&id, stack));
            }
        }
        let told = AuditPage {
            kind,
            looked_at,
            findings,
        };
        Ok((told, page.next))
    }

    /// Those stacks of which the VIM says that they do not exist.
    async fn gone_stacks(&self, stacks: &[StackRef]) -> Result<HashSet<StackRef>, CallError> {
        let mut gone = HashSet::new();
        if stacks.is_empty() {
            return Ok(gone);
        }
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let observed = self.connector.observe_stacks(stacks, cursor.take()).await?;
            gone.extend(observed.gone);
            if !observed.more || observed.cursor.is_none() {
                break;
            }
            cursor = observed.cursor;
        }
        Ok(gone)
    }

    /// Those of which the VIM says that they do not exist.
    async fn gone(&self, kind: ElementKind, ids: &[VimId]) -> Result<Vec<VimId>, CallError> {
        let mut gone = Vec::new();
        if ids.is_empty() {
            return Ok(gone);
        }
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let observed = self.connector.observe(kind, ids, cursor.take()).await?;
            gone.extend(observed.gone);
            if !observed.more || observed.cursor.is_none() {
                break;
            }
            cursor = observed.cursor;
        }
        Ok(gone)
    }
}

/// Takes away what documents name.
fn release(suspects: &mut Vec<Suspect>, resources: &[Resource]) {
    suspects.retain(|suspect| !resources.iter().any(|resource| names(resource, &suspect.element)));
}
