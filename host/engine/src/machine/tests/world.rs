//! The VIM, the disk and the loop around the machine.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use vimhost_connector::{
    Created, DeleteRequest, DeleteStep, ElementStatus, Error as CallError, ErrorKind, FindRequest, Found,
    InjectionError, InterfaceObservation, Observation, OperateRequest, Operated, Outcome as Certainty,
    ServerObservation, Step,
};
use vimhost_model::{
    Item, JournalEntry, JournalStatus, RecordChange, Resource, ResourceId, TargetId, Task, TaskAction, TaskStatus,
    Timestamp, VimId,
};

use super::super::{Answer, Effect, Event, InjectRequest, Request, Sight, Standing, Surroundings, apply};
use super::{Case, no_config, resource, task};

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Trouble {
    Error(ErrorKind),
    /// The work goes on to the phase, and nobody hears of it.
    Lost(ErrorKind),
    /// The host dies.
    Crash,
}

/// Which call, how far it comes, what happens then, and whether it happens to every later call of the verb too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) call: usize,
    pub(super) phase: usize,
    pub(super) trouble: Trouble,
    pub(super) lasting: bool,
}

/// Steps within a creating or deleting call: before anything, announced, first element made, everything made, committed.
pub(super) const PHASES: usize = 5;

struct Died;

pub(super) struct World {
    /// What is on disk.
    pub(super) saved: Resource,
    /// The journal on disk.
    pub(super) journal: Vec<JournalEntry>,
    /// Elements that are ours, by token.
    pub(super) elements: BTreeMap<String, VimId>,
    /// Every creation there ever was.
    pub(super) made: Vec<String>,
    foreign: &'static [&'static str],
    pub(super) others: HashMap<ResourceId, Standing>,
    pub(super) config: Map<String, Value>,
    /// Settings of the accounts of VMs that are joined.
    pub(super) vim_configs: HashMap<TargetId, Map<String, Value>>,
    pub(super) now: Timestamp,
    pub(super) fault: Option<Fault>,
    /// The host dies at this point: before a write, after it, after an answer.
    pub(super) crash_at: Option<usize>,
    pub(super) points: usize,
    pub(super) calls: Vec<&'static str>,
    pub(super) records: Vec<RecordChange>,
    /// What the VIM shows, sight by sight; the last one stays.
    pub(super) sights: Vec<Option<ElementStatus>>,
    pub(super) seen: usize,
    verb: Option<&'static str>,
    /// Every event is applied twice.
    pub(super) twice: bool,
    pub(super) waiting: bool,
    /// A deletion is accepted, and the main element is gone after so many sights; none: at once.
    pub(super) slow_deletion: Option<usize>,
    /// The VIM is at it.
    leaving: bool,
    /// What the VIM answers to a command.
    pub(super) operated: Operated,
    /// Commands it was given.
    pub(super) commands: Vec<OperateRequest>,
    /// Volumes it was to keep.
    pub(super) held: Vec<VimId>,
    /// The VM lets nobody in for so many tries, for this reason.
    pub(super) shut_for: usize,
    pub(super) refusal: InjectionError,
    /// Every try, and when it was.
    pub(super) injections: Vec<(Timestamp, InjectRequest)>,
}

impl World {
    pub(super) fn new(case: &Case) -> Self {
        Self::of(case, vec![task("op:0", TaskAction::Create, case)])
    }

    pub(super) fn of(case: &Case, tasks: Vec<Task>) -> Self {
        Self {
            saved: resource(case, tasks),
            journal: Vec::new(),
            elements: BTreeMap::new(),
            made: Vec::new(),
            foreign: case.foreign,
            others: HashMap::new(),
            config: no_config(),
            vim_configs: HashMap::new(),
            now: Timestamp(1_000_000),
            fault: None,
            crash_at: None,
            points: 0,
            calls: Vec::new(),
            records: Vec::new(),
            sights: vec![Some(ElementStatus::Build), Some(ElementStatus::Active)],
            seen: 0,
            verb: None,
            twice: false,
            waiting: false,
            slow_deletion: None,
            leaving: false,
            operated: Operated::default(),
            commands: Vec::new(),
            held: Vec::new(),
            shut_for: 0,
            refusal: InjectionError::Passing("no answer".to_owned()),
            injections: Vec::new(),
        }
    }

    /// Runs until nothing is left to do.
    pub(super) fn run(&mut self) -> &mut Self {
        let mut deaths = 0;
        while self.live().is_err() {
            deaths += 1;
            assert!(deaths < 50, "dies for ever");
        }
        self
    }

    /// Adds a task, as a commit does.
    pub(super) fn commit(&mut self, task: Task) -> &mut Self {
        self.saved.tasks.push(task);
        self.run()
    }

    pub(super) fn status(&self, index: usize) -> TaskStatus {
        self.saved.tasks[index].status
    }

    /// Applies one event and writes the outcome down; no effect is carried out.
    pub(super) fn happens(&mut self, event: Event) -> Vec<Effect> {
        let mut resource = self.saved.clone();
        resource.journal.clone_from(&self.journal);
        self.step(&resource, event).ok().unwrap().1
    }

    fn live(&mut self) -> Result<(), Died> {
        let mut known: Option<Resource> = None;
        let mut event = Event::Look;
        for _ in 0..400 {
            let mut resource = known.take().unwrap_or_else(|| self.saved.clone());
            resource.journal.clone_from(&self.journal);
            let (after, effects) = self.step(&resource, event)?;
            known = Some(after);
            self.waiting = effects.iter().any(|effect| matches!(effect, Effect::Wait(_)));
            let mut next = None;
            for effect in effects {
                match effect {
                    Effect::Call(_, _) if next.as_ref().is_some_and(|next| !matches!(next, Event::Look)) => {
                        panic!("two calls at once")
                    }
                    Effect::Call(task, request) => next = Some(Event::Answered(task, self.perform(*request)?)),
                    Effect::Inject(task, request) => {
                        assert!(next.is_none(), "a call and an injection at once");
                        next = Some(Event::Answered(task, self.inject(*request)?));
                    }
                    Effect::LookAgain => next = next.or(Some(Event::Look)),
                    Effect::WakeAt(at) => {
                        self.now = self.now.max(at);
                        next = next.or(Some(Event::Look));
                    }
                    Effect::Observe if next.is_none() => {
                        let Some(at) = self.saved.observe_at else { continue };
                        // A failed element is looked at again in ten minutes; that is settled for these tests.
                        if at.since(self.now).as_secs() < 60 {
                            self.now = self.now.max(at);
                            next = Some(Event::Observed(self.sight()));
                        }
                    }
                    Effect::Observe | Effect::Wait(_) => {}
                }
            }
            match next {
                Some(following) => event = following,
                None => return Ok(()),
            }
        }
        panic!("never settles: {:?}", self.saved);
    }

    fn step(&mut self, resource: &Resource, event: Event) -> Result<(Resource, Vec<Effect>), Died> {
        let (others, config, texts) = (self.others.clone(), self.config.clone(), HashMap::new());
        let vim_configs = self.vim_configs.clone();
        let around = Surroundings {
            now: self.now,
            others: &others,
            config: &config,
            vim_configs: &vim_configs,
            texts: &texts,
        };
        let outcome = apply(resource, event.clone(), &around).expect("a legal move");
        if self.twice {
            self.check_repetition(&outcome.resource, &event, &outcome.effects, &around);
        }
        self.point()?;
        if outcome.changed {
            // Entries that the step took out are dropped in the same write.
            self.journal.clone_from(&outcome.resource.journal);
            self.saved = outcome.resource.clone();
            self.saved.journal.clear();
            self.records.extend(outcome.records);
        } else {
            assert!(outcome.records.is_empty(), "records move only with the resource");
        }
        self.point()?;
        Ok((outcome.resource, outcome.effects))
    }

    /// The same event once more changes nothing, except how often something was tried or seen.
    fn check_repetition(&self, after: &Resource, event: &Event, effects: &[Effect], around: &Surroundings<'_>) {
        let tried = matches!(event, Event::Answered(..))
            && effects
                .iter()
                .any(|effect| matches!(effect, Effect::WakeAt(_) | Effect::Call(..)));
        if tried {
            return;
        }
        let again = apply(after, event.clone(), around).expect("a legal move");
        let plain = |resource: &Resource| Resource {
            observe_at: None,
            observed_unchanged: 0,
            ..resource.clone()
        };
        assert_eq!(plain(&again.resource), plain(after), "{event:?}");
        assert!(again.records.is_empty(), "{event:?}");
        let calls = |effects: &[Effect]| effects.iter().filter(|e| matches!(e, Effect::Call(..))).count();
        if !matches!(event, Event::Look) {
            assert_eq!(calls(&again.effects), 0, "{event:?}");
        }
    }

    fn point(&mut self) -> Result<(), Died> {
        self.points += 1;
        if self.crash_at == Some(self.points) {
            return Err(Died);
        }
        Ok(())
    }

    fn perform(&mut self, request: Request) -> Result<Answer, Died> {
        let verb = match &request {
            Request::Find(_) => "find",
            Request::Create(_) => "create",
            Request::Delete(_) => "delete",
            Request::Operate(_) => "operate",
        };
        let number = self.calls.len();
        self.calls.push(verb);
        let fault = self
            .fault
            .filter(|fault| number == fault.call || (fault.lasting && number > fault.call && self.verb == Some(verb)));
        if fault.is_some() {
            self.verb = Some(verb);
        }
        let answer = match request {
            Request::Find(find) => Answer::Found(self.find(&find, fault)?),
            Request::Create(_) => Answer::Created(self.create(fault)?.map(Step::Done)),
            Request::Delete(delete) => Answer::Deleted(self.delete(&delete, fault)?),
            Request::Operate(command) => {
                self.commands.push(command);
                let done = || Ok(Step::Done(self.operated.clone()));
                Answer::Operated(failing(fault, 0)?.map_or_else(done, Err))
            }
        };
        self.point()?;
        Ok(answer)
    }

    fn inject(&mut self, request: InjectRequest) -> Result<Answer, Died> {
        self.calls.push("inject");
        self.injections.push((self.now, request));
        let answer = if self.injections.len() > self.shut_for {
            Ok(())
        } else {
            Err(self.refusal.clone())
        };
        self.point()?;
        Ok(Answer::Injected(answer))
    }

    fn find(&self, request: &FindRequest, fault: Option<Fault>) -> Result<Result<Vec<Found>, CallError>, Died> {
        if let Some(error) = failing(fault, 0)? {
            return Ok(Err(error));
        }
        let name = match request {
            FindRequest::Networks(filter) | FindRequest::Images(filter) | FindRequest::Flavours(filter) => {
                filter.name.clone().unwrap_or_default()
            }
            FindRequest::Flavour(_) => "flavour".to_owned(),
            FindRequest::Group(id) => id.to_string(),
        };
        let hits = self.foreign.iter().filter(|known| **known == name);
        Ok(Ok(hits
            .map(|known| Found {
                id: known.parse().unwrap(),
                name: Some((*known).to_owned()),
                status_text: Some("ACTIVE".to_owned()),
                details: json!({"name": known}),
            })
            .collect()))
    }

    fn parts(&self) -> Vec<String> {
        let token = self.saved.token();
        if self.saved.item == Item::Vdu {
            vec![format!("{token}.0"), format!("{token}.1"), token]
        } else {
            vec![token]
        }
    }

    fn create(&mut self, fault: Option<Fault>) -> Result<Result<Created, CallError>, Died> {
        if let Some(error) = failing(fault, 0)? {
            return Ok(Err(error));
        }
        let mut ids = Vec::new();
        for token in self.parts() {
            let entry = self.begin(&token);
            if let Some(error) = failing(fault, 1)? {
                return Ok(Err(error));
            }
            let id = self.elements.get(&token).cloned().unwrap_or_else(|| {
                self.made.push(token.clone());
                VimId::new(format!("id-{}", self.made.len())).unwrap()
            });
            self.elements.insert(token, id.clone());
            if let Some(error) = failing(fault, 2)? {
                return Ok(Err(error));
            }
            let entry = self.journal.iter_mut().find(|known| known.id == entry).unwrap();
            (entry.status, entry.element) = (JournalStatus::Committed, Some(id.clone()));
            ids.push(id);
        }
        for phase in [3, 4] {
            if let Some(error) = failing(fault, phase)? {
                return Ok(Err(error));
            }
        }
        let id = ids.pop().unwrap();
        Ok(Ok(Created {
            id,
            name: Some("made".to_owned()),
            interfaces: ids.into_iter().map(Some).collect(),
        }))
    }

    fn begin(&mut self, token: &str) -> u64 {
        if let Some(entry) = self.journal.iter().find(|entry| entry.token == token) {
            return entry.id;
        }
        let id = self.journal.last().map_or(1, |entry| entry.id + 1);
        self.journal.push(JournalEntry {
            id,
            kind: "element".to_owned(),
            token: token.to_owned(),
            status: JournalStatus::Begun,
            element: None,
            begun_at: self.now,
        });
        id
    }

    fn delete(&mut self, request: &DeleteRequest, fault: Option<Fault>) -> Result<Result<DeleteStep, CallError>, Died> {
        if let Some(error) = failing(fault, 0)? {
            return Ok(Err(error));
        }
        self.held.clone_from(&request.hold);
        if self.slow_deletion.is_some() && self.elements.contains_key(&self.saved.token()) {
            self.leaving = true;
            return Ok(Ok(DeleteStep::Accepted));
        }
        let tokens: Vec<String> = self.journal.iter().map(|entry| entry.token.clone()).collect();
        let known = self.elements.iter().find(|(_, id)| Some(*id) == request.id.as_ref());
        for token in known.map(|(token, _)| token.clone()).into_iter().chain(tokens) {
            self.elements.remove(&token);
            for phase in [1, 2] {
                if let Some(error) = failing(fault, phase)? {
                    return Ok(Err(error));
                }
            }
            self.journal.retain(|entry| entry.token != token);
        }
        for phase in [3, 4] {
            if let Some(error) = failing(fault, phase)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(DeleteStep::Done))
    }

    fn sight(&mut self) -> Sight {
        let id = self.saved.vim.vim_id.clone().expect("only what has an id is observed");
        if self.leaving {
            let left = self.slow_deletion.unwrap_or_default();
            self.slow_deletion = left.checked_sub(1);
            if self.slow_deletion.is_none() {
                self.elements.remove(&self.saved.token());
                return Sight::Gone(id);
            }
            return Sight::Present(Box::new(observation(id, ElementStatus::Other, &[])));
        }
        let shown = self.sights.get(self.seen).or(self.sights.last()).copied().flatten();
        self.seen += 1;
        match shown {
            Some(status) => Sight::Present(Box::new(observation(id, status, &self.saved.vim.interfaces_vim_ids))),
            None => Sight::Gone(id),
        }
    }
}

fn failing(fault: Option<Fault>, phase: usize) -> Result<Option<CallError>, Died> {
    match fault.filter(|fault| fault.phase == phase).map(|fault| fault.trouble) {
        None => Ok(None),
        Some(Trouble::Crash) => Err(Died),
        Some(Trouble::Error(kind)) => Ok(Some(CallError::new(kind, format!("{} on purpose", kind.as_str())))),
        Some(Trouble::Lost(kind)) => {
            let mut error = CallError::new(kind, "ended without an answer");
            error.outcome = Certainty::Unknown;
            Ok(Some(error))
        }
    }
}

/// What the VIM shows of an element; ports in the opposite order of the request.
pub(super) fn observation(id: VimId, status: ElementStatus, ports: &[Option<VimId>]) -> Observation {
    let interfaces = ports
        .iter()
        .flatten()
        .enumerate()
        .map(|(index, port)| InterfaceObservation {
            id: port.clone(),
            network: Some(format!("n{}", index + 1).parse().unwrap()),
            mac_address: Some(format!("fa:16:3e:00:00:0{index}")),
            ip_addresses: vec![format!("203.0.113.{index}"), format!("10.0.0.{index}")],
            compute_node: Some("host1".to_owned()),
            pci: None,
            vlan: Some(100),
            details: json!({"port": index}),
        });
    Observation {
        id,
        name: Some("vm-in-vim".to_owned()),
        status,
        status_text: format!("{status:?}").to_uppercase(),
        message: (status == ElementStatus::Error).then(|| "no valid host".to_owned()),
        details: json!({"status": format!("{status:?}")}),
        server: (!ports.is_empty()).then(|| ServerObservation {
            interfaces: interfaces.collect::<Vec<_>>().into_iter().rev().collect(),
            ..ServerObservation::default()
        }),
    }
}
