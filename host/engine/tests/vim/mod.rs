//! A VIM in memory with a journal-keeping connector, faults on request and a memory of all it ever made.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use vimhost_connector::{
    Call, CheckReport, Connector, Connectors, CreateRequest, Created, DeleteRequest, DeleteStep, ElementKind,
    ElementStatus, Error, ErrorKind, FindRequest, Found, InjectionError, InterfaceObservation, KeyInjection,
    KeyInjector, LoadError, Observation, Observed, OperateRequest, Operated, Owned, OwnedPage, PluginInfo,
    ServerObservation, Step,
};
use vimhost_model::{JournalEntry, JournalStatus, TargetId, VimAccount, VimId};

/// Elements of one page of a listing.
const PAGE: usize = 2;

#[derive(Clone)]
struct Element {
    id: VimId,
    kind: &'static str,
    ports: Vec<VimId>,
    sights: usize,
}

#[derive(Default)]
struct State {
    /// By token.
    elements: BTreeMap<String, Element>,
    made: Vec<String>,
    faults: HashMap<&'static str, (ErrorKind, usize)>,
    /// Calls that failed on purpose.
    failed: usize,
    builds_for: usize,
    injections: Vec<KeyInjection>,
    /// Kinds that the account may not list.
    hidden: Vec<&'static str>,
    /// Tokens of elements that go right after the next listing.
    leaving: Vec<String>,
    /// What announces its next element, takes so long, and then tells nothing of it.
    losing: Option<(&'static str, Duration)>,
    /// The token it had, and when it was announced.
    lost: Option<(String, Instant)>,
    /// How old calls were told that the announcement is, and how long ago it was made.
    ages: Vec<(Duration, Duration)>,
}

#[derive(Default, Clone)]
pub struct Vim(Arc<Mutex<State>>);

impl Vim {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next `times` calls that make this kind (or `delete`) fail.
    pub fn fail(&self, what: &'static str, kind: ErrorKind, times: usize) {
        self.state().faults.insert(what, (kind, times));
    }

    /// How many calls failed on purpose.
    pub fn failed(&self) -> usize {
        self.state().failed
    }

    /// The next element of this kind is announced, and so long after that the call fails.
    pub fn lose(&self, kind: &'static str, slow: Duration) {
        self.state().losing = Some((kind, slow));
    }

    /// How old calls were told that what was lost is, and how long ago it was announced.
    pub fn ages(&self) -> Vec<(Duration, Duration)> {
        self.state().ages.clone()
    }

    fn note_age(&self, call: &Call) {
        let mut state = self.state();
        let Some((token, announced)) = state.lost.clone() else {
            return;
        };
        let is_it = |entry: &&JournalEntry| entry.token == token && entry.status == JournalStatus::Begun;
        if let Some(entry) = call.entries.iter().find(is_it) {
            state.ages.push((call.now.since(entry.begun_at), announced.elapsed()));
        }
    }

    /// How many looks show an element as building.
    pub fn builds_for(&self, sights: usize) {
        self.state().builds_for = sights;
    }

    /// Puts an element there, as somebody else would, or an earlier host.
    pub fn put(&self, token: &str, kind: &'static str) -> VimId {
        let id: VimId = format!("put-{token}").parse().unwrap();
        let element = Element {
            id: id.clone(),
            kind,
            ports: Vec::new(),
            sights: 0,
        };
        self.state().elements.insert(token.to_owned(), element);
        id
    }

    /// Takes an element away behind everybody's back.
    pub fn take(&self, token: &str) -> VimId {
        self.state().elements.remove(token).unwrap().id
    }

    /// Takes an element away right after the next listing.
    pub fn take_after_listing(&self, token: &str) {
        self.state().leaving.push(token.to_owned());
    }

    /// Lets the account not list a kind.
    pub fn hide(&self, kind: &'static str) {
        self.state().hidden.push(kind);
    }

    /// Tokens of the elements of a kind.
    pub fn tokens(&self, kind: &str) -> Vec<String> {
        let state = self.state();
        let of_kind = state.elements.iter().filter(|(_, element)| element.kind == kind);
        of_kind.map(|(token, _)| token.clone()).collect()
    }

    /// Keys that were let into its servers.
    pub fn injections(&self) -> Vec<KeyInjection> {
        self.state().injections.clone()
    }

    pub fn count(&self, kind: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .elements
            .values()
            .filter(|element| element.kind == kind)
            .count()
    }

    pub fn assert_empty(&self) {
        let state = self.state();
        let left: Vec<_> = state
            .elements
            .iter()
            .map(|(token, element)| (element.kind, token))
            .collect();
        assert!(left.is_empty(), "left: {left:?}");
    }

    pub fn assert_nothing_made_twice(&self) {
        let mut made = self.state().made.clone();
        let all = made.len();
        made.sort();
        made.dedup();
        assert_eq!(made.len(), all, "something was made twice");
    }

    fn failing(&self, what: &'static str) -> Result<(), Error> {
        let mut state = self.state();
        match state.faults.get_mut(what) {
            Some((kind, times)) if *times > 0 => {
                *times -= 1;
                let kind = *kind;
                state.failed += 1;
                Err(Error::new(kind, "on purpose"))
            }
            _ => Ok(()),
        }
    }

    /// Announces, makes unless it is there, confirms: what every connector does.
    async fn make(&self, call: &Call, kind: &'static str, token: &str, ports: Vec<VimId>) -> Result<VimId, Error> {
        let failed = |error: vimhost_connector::JournalError| Error::new(ErrorKind::Internal, error.to_string());
        let slow = {
            let mut state = self.state();
            let slow = state.losing.take_if(|(lost, _)| *lost == kind);
            if slow.is_some() {
                state.lost = Some((token.to_owned(), Instant::now()));
            }
            slow
        };
        let entry = call.journal.begin(kind, token).await.map_err(failed)?;
        if let Some((_, slow)) = slow {
            tokio::time::sleep(slow).await;
            return Err(Error::new(ErrorKind::Timeout, "the answer was lost"));
        }
        tokio::task::yield_now().await;
        let id = {
            let mut state = self.state();
            let known = state.elements.get(token).map(|element| element.id.clone());
            known.unwrap_or_else(|| {
                state.made.push(token.to_owned());
                let id: VimId = format!("{kind}-{}", state.made.len()).parse().unwrap();
                state.elements.insert(
                    token.to_owned(),
                    Element {
                        id: id.clone(),
                        kind,
                        ports,
                        sights: 0,
                    },
                );
                id
            })
        };
        tokio::task::yield_now().await;
        call.journal.commit(entry, &id).await.map_err(failed)?;
        Ok(id)
    }
}

#[async_trait]
impl Connector for Vim {
    async fn check(&self) -> Result<CheckReport, Error> {
        Ok(CheckReport::default())
    }

    async fn find(&self, request: FindRequest) -> Result<Vec<Found>, Error> {
        let FindRequest::Images(filter) = request else {
            return Ok(Vec::new());
        };
        let id = format!("image-{}", filter.name.unwrap()).parse().unwrap();
        Ok(vec![Found {
            id,
            name: None,
            status_text: Some("ACTIVE".to_owned()),
            details: json!({}),
        }])
    }

    async fn create(&self, call: Call, request: CreateRequest) -> Result<Step<Created>, Error> {
        let (kind, ports) = match &request {
            CreateRequest::Network(_) => ("network", 0),
            CreateRequest::Flavour(_) => ("flavour", 0),
            CreateRequest::Server(server) => {
                let known = self
                    .0
                    .lock()
                    .unwrap()
                    .elements
                    .values()
                    .map(|element| element.id.clone())
                    .collect::<Vec<_>>();
                let missing = server
                    .interfaces
                    .iter()
                    .find(|interface| !known.contains(&interface.network));
                assert!(
                    missing.is_none(),
                    "a server on a network that is not there: {missing:?}"
                );
                ("server", server.interfaces.len())
            }
            CreateRequest::Group(_) | CreateRequest::Volume(_) | CreateRequest::Service(_) => ("other", 0),
        };
        self.note_age(&call);
        self.failing(kind)?;
        let mut made = Vec::new();
        for index in 0..ports {
            made.push(
                self.make(&call, "port", &format!("{}.{index}", call.token), Vec::new())
                    .await?,
            );
        }
        let id = self.make(&call, kind, &call.token, made.clone()).await?;
        Ok(Step::Done(Created {
            id,
            name: Some(kind.to_owned()),
            interfaces: made.into_iter().map(Some).collect(),
        }))
    }

    async fn delete(&self, call: Call, request: DeleteRequest) -> Result<DeleteStep, Error> {
        self.failing("delete")?;
        if request.kind == ElementKind::Network && self.count("port") > 0 {
            return Err(Error::new(ErrorKind::Conflict, "the network has ports"));
        }
        // The server before its ports.
        for entry in call.entries.iter().rev() {
            self.state().elements.remove(&entry.token);
            tokio::task::yield_now().await;
            let forgotten = call.journal.forget(entry.id).await;
            forgotten.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        }
        self.0
            .lock()
            .unwrap()
            .elements
            .retain(|_, element| Some(&element.id) != request.id.as_ref());
        Ok(DeleteStep::Done)
    }

    async fn observe(&self, _kind: ElementKind, ids: &[VimId], _cursor: Option<Vec<u8>>) -> Result<Observed, Error> {
        let mut state = self.state();
        let builds_for = state.builds_for;
        let mut observed = Observed::default();
        for id in ids {
            if id.as_str().starts_with("image-") {
                // It finds whatever image it is asked for, and knows nothing of them.
                continue;
            }
            let Some(element) = state.elements.values_mut().find(|element| element.id == *id) else {
                observed.gone.push(id.clone());
                continue;
            };
            element.sights += 1;
            let status = if element.sights > builds_for {
                ElementStatus::Active
            } else {
                ElementStatus::Build
            };
            let port = |(index, id): (usize, &VimId)| InterfaceObservation {
                id: id.clone(),
                network: None,
                mac_address: None,
                ip_addresses: vec![format!("10.0.0.{}", index + 1)],
                compute_node: None,
                pci: None,
                vlan: None,
                details: json!({}),
            };
            observed.changed.push(Observation {
                id: id.clone(),
                name: Some(element.kind.to_owned()),
                status,
                status_text: format!("{status:?}"),
                message: None,
                details: json!({}),
                server: (element.kind == "server").then(|| ServerObservation {
                    interfaces: element.ports.iter().enumerate().map(port).collect(),
                    ..ServerObservation::default()
                }),
            });
        }
        Ok(observed)
    }

    async fn operate(&self, _call: Call, _request: OperateRequest) -> Result<Step<Operated>, Error> {
        Ok(Step::Done(Operated::default()))
    }

    async fn list_owned(&self, kind: ElementKind, prefix: &str, cursor: Option<Vec<u8>>) -> Result<OwnedPage, Error> {
        let mut state = self.state();
        if state.hidden.contains(&kind.as_str()) {
            return Err(Error::new(ErrorKind::Auth, "the policy does not allow it"));
        }
        if matches!(kind, ElementKind::Stack | ElementKind::FloatingAddress) {
            return Err(Error::new(ErrorKind::Unsupported, "there is no such kind"));
        }
        let after = cursor.map(|cursor| String::from_utf8(cursor).unwrap());
        let is_on_page = |token: &String| {
            token.starts_with(prefix) && after.as_ref().is_none_or(|after| token.as_str() > after.as_str())
        };
        let mut elements: Vec<Owned> = state
            .elements
            .iter()
            .filter(|(token, element)| element.kind == kind.as_str() && is_on_page(token))
            .take(PAGE + 1)
            .map(|(token, element)| Owned {
                id: element.id.clone(),
                token: token.clone(),
                name: Some(element.kind.to_owned()),
            })
            .collect();
        let more = elements.len() > PAGE;
        elements.truncate(PAGE);
        for token in std::mem::take(&mut state.leaving) {
            state.elements.remove(&token);
        }
        Ok(OwnedPage {
            cursor: elements
                .last()
                .filter(|_| more)
                .map(|last| last.token.clone().into_bytes()),
            elements,
        })
    }
}

#[async_trait]
impl Connectors for Vim {
    async fn open(&self, account: &VimAccount) -> Result<Arc<dyn Connector>, LoadError> {
        if account.vim_type != "memory" {
            return Err(LoadError::NoPlugin {
                vim_type: account.vim_type.clone(),
                known: "memory".to_owned(),
            });
        }
        Ok(Arc::new(self.clone()))
    }

    async fn close(&self, _target: &TargetId) {}

    // It sends nothing.
    fn set_send_deadline(&self, _target: &TargetId, _until: Option<Instant>) {}

    fn plugins(&self) -> Vec<PluginInfo> {
        Vec::new()
    }
}

/// Its servers let everybody in.
#[async_trait]
impl KeyInjector for Vim {
    async fn inject(&self, injection: &KeyInjection) -> Result<(), InjectionError> {
        self.state().injections.push(injection.clone());
        Ok(())
    }
}
