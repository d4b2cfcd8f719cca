//! A VIM of stacks in memory, which counts what is asked of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use vimhost_connector::{
    Call, Capabilities, CheckReport, Connector, Connectors, CreateRequest, Created, DeleteRequest, DeleteStep,
    Descriptor, ElementKind, Error, ErrorKind, FindRequest, Found, InjectionError, KeyInjection, KeyInjector,
    LoadError, Observed, ObservedStacks, OperateRequest, Operated, OwnedPage, Pending, PluginInfo, PluginState,
    StackAction, StackContent, StackObservation, StackProgress, StackRef, StackRequest, StackResource, Step,
    UpdateMode,
};
use vimhost_model::{JournalEntry, JournalStatus, TargetId, VimAccount, VimId};

/// A stack that was made.
pub struct Stack {
    id: VimId,
    action: StackAction,
    looks: u32,
    fails: bool,
    members: u64,
}

/// All there is, and what is to go wrong next.
#[derive(Default)]
pub struct State {
    pub stacks: BTreeMap<String, Stack>,
    pub calls: Vec<&'static str>,
    made: u32,
    /// The next creation fails after it was accepted.
    pub failing: bool,
    /// The answer to the next creation is lost.
    pub losing: bool,
    /// The answer to the next creation is lost, and what it makes appears after so many deletions that wait for it.
    pub late: Option<u32>,
    /// What is to appear, and after how many deletions.
    pub coming: Option<(u32, String, Stack)>,
    /// Looks show every stack as under way, and do not count.
    pub held: bool,
    /// The next deletion is refused.
    pub refusing: bool,
    /// How long a creation takes after its announcement.
    pub slow: Duration,
    /// When the last creation was announced.
    announced: Option<Instant>,
    /// How old deletions were told that the announcement is, and how long ago it was made.
    pub ages: Vec<(Duration, Duration)>,
}

#[derive(Default, Clone)]
pub struct Vim(pub Arc<Mutex<State>>);

impl Vim {
    pub fn count(&self, call: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .calls
            .iter()
            .filter(|made| **made == call)
            .count()
    }
}

fn members(content: &StackContent) -> u64 {
    let nfv = content.parameters.get("nfv").unwrap();
    let capacity = nfv.pointer("/VDU/VDU1/desired_capacity");
    capacity.and_then(Value::as_u64).unwrap()
}

fn no<T>() -> Result<T, Error> {
    Err(Error::new(ErrorKind::Unsupported, "stacks only"))
}

#[async_trait]
impl Connector for Vim {
    async fn check(&self) -> Result<CheckReport, Error> {
        Ok(CheckReport::default())
    }
    async fn find(&self, _: FindRequest) -> Result<Vec<Found>, Error> {
        no()
    }
    async fn create(&self, _: Call, _: CreateRequest) -> Result<Step<Created>, Error> {
        no()
    }
    async fn delete(&self, _: Call, _: DeleteRequest) -> Result<DeleteStep, Error> {
        no()
    }
    async fn observe(&self, _: ElementKind, _: &[VimId], _: Option<Vec<u8>>) -> Result<Observed, Error> {
        no()
    }
    async fn operate(&self, _: Call, _: OperateRequest) -> Result<Step<Operated>, Error> {
        no()
    }
    async fn list_owned(&self, kind: ElementKind, _: &str, _: Option<Vec<u8>>) -> Result<OwnedPage, Error> {
        // Of stacks nothing, so that each that is recorded has to be observed.
        if kind == ElementKind::Stack {
            return Ok(OwnedPage::default());
        }
        no()
    }

    async fn create_stack(&self, call: Call, request: StackRequest) -> Result<Step<Created>, Error> {
        let slow = {
            let mut state = self.0.lock().unwrap();
            state.announced = Some(Instant::now());
            state.slow
        };
        let entry = call.journal.begin("stack", &call.token).await.unwrap();
        tokio::time::sleep(slow).await;
        let (id, is_lost) = {
            let mut state = self.0.lock().unwrap();
            state.calls.push("create");
            state.made += 1;
            let id: VimId = format!("s{}", state.made).parse().unwrap();
            let stack = Stack {
                id: id.clone(),
                action: StackAction::Create,
                looks: 0,
                fails: std::mem::take(&mut state.failing),
                members: members(&request.content),
            };
            let is_lost = std::mem::take(&mut state.losing) || state.late.is_some();
            match state.late.take() {
                Some(waits) => state.coming = Some((waits, request.name, stack)),
                None => drop(state.stacks.insert(request.name, stack)),
            }
            (id, is_lost)
        };
        if is_lost {
            return Err(Error::new(ErrorKind::BadRequest, "the answer was lost"));
        }
        call.journal.commit(entry, &id).await.unwrap();
        Ok(Step::Done(Created {
            id,
            name: None,
            interfaces: Vec::new(),
        }))
    }

    async fn update_stack(
        &self,
        _: Call,
        stack: StackRef,
        _: UpdateMode,
        content: StackContent,
    ) -> Result<Step<()>, Error> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("update");
        let known = state.stacks.get_mut(&stack.name);
        let known = known.filter(|known| stack.id.as_ref() == Some(&known.id));
        let known = known.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such stack"))?;
        known.action = StackAction::Update;
        known.looks = 0;
        known.fails = false;
        known.members = members(&content);
        Ok(Step::Done(()))
    }

    async fn find_stack(&self, name: &str) -> Result<Option<StackObservation>, Error> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("find");
        Ok(state.stacks.get(name).map(|stack| seen(name, stack)))
    }

    async fn observe_stacks(&self, stacks: &[StackRef], _: Option<Vec<u8>>) -> Result<ObservedStacks, Error> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("observe");
        let counted = u32::from(!state.held);
        let mut observed = ObservedStacks::default();
        for asked in stacks {
            let known = state.stacks.get_mut(&asked.name);
            match known.filter(|known| asked.id.as_ref() == Some(&known.id)) {
                Some(stack) => {
                    stack.looks += counted;
                    observed.changed.push(seen(&asked.name, stack));
                    continue;
                }
                None => observed.gone.push(asked.clone()),
            }
        }
        Ok(observed)
    }

    async fn stack_resources(&self, stack: &StackRef, _: u8) -> Result<Vec<StackResource>, Error> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("resources");
        let members = state.stacks.get(&stack.name).unwrap().members;
        let server = |number: u64| StackResource {
            name: "VDU1".to_owned(),
            resource_type: "OS::Nova::Server".to_owned(),
            physical_id: Some(format!("server-{number}").parse().unwrap()),
            status_text: "CREATE_COMPLETE".to_owned(),
            reason: None,
            parent: None,
            stack: stack.clone(),
            required_by: Vec::new(),
            created: Some(format!("2026-01-01T00:00:0{number}Z")),
        };
        Ok((0..members).map(server).collect())
    }

    async fn mark_unhealthy(&self, _: Call, _: &StackRef, _: &str, _: &str) -> Result<Step<()>, Error> {
        self.0.lock().unwrap().calls.push("mark");
        Ok(Step::Done(()))
    }

    async fn delete_stack(&self, call: Call, stack: StackRef) -> Result<DeleteStep, Error> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("delete");
        if std::mem::take(&mut state.refusing) {
            return Err(Error::new(ErrorKind::BadRequest, "not now"));
        }
        let is_there = state.stacks.remove(&stack.name).is_some();
        let begun = |entry: &&JournalEntry| entry.status == JournalStatus::Begun;
        let begun = call.entries.iter().find(begun);
        if let (Some(entry), Some(announced)) = (begun, state.announced) {
            let age = call.now.since(entry.begun_at);
            state.ages.push((age, announced.elapsed()));
        }
        let is_begun = begun.is_some();
        if is_there || !is_begun {
            return Ok(DeleteStep::Accepted);
        }
        // What was begun and is not there may still appear.
        let Some((waits, name, made)) = state.coming.take() else {
            return Ok(DeleteStep::Done);
        };
        if waits == 0 {
            state.stacks.insert(name, made);
        } else {
            state.coming = Some((waits - 1, name, made));
        }
        Ok(DeleteStep::Pending(Pending {
            reason: "it may still appear".to_owned(),
            again_in: Duration::from_millis(5),
            state: None,
        }))
    }
}

/// A stack is ready at the third look.
fn seen(name: &str, stack: &Stack) -> StackObservation {
    let progress = match (stack.looks, stack.fails) {
        (0..3, _) => StackProgress::InProgress,
        (_, true) => StackProgress::Failed,
        (_, false) => StackProgress::Complete,
    };
    StackObservation {
        stack: StackRef {
            name: name.to_owned(),
            id: Some(stack.id.clone()),
        },
        action: stack.action,
        progress,
        status_text: format!("{progress:?}"),
        reason: stack.fails.then(|| "no host".to_owned()),
        updated: None,
    }
}

#[async_trait]
impl Connectors for Vim {
    async fn open(&self, _: &VimAccount) -> Result<Arc<dyn Connector>, LoadError> {
        Ok(Arc::new(self.clone()))
    }
    async fn close(&self, _: &TargetId) {}
    fn set_send_deadline(&self, _: &TargetId, _: Option<Instant>) {}
    fn plugins(&self) -> Vec<PluginInfo> {
        vec![PluginInfo {
            file: "memory".to_owned(),
            digest: String::new(),
            state: PluginState::Ready,
            descriptor: Some(Descriptor {
                name: "memory".to_owned(),
                version: "1".to_owned(),
                description: String::new(),
                vim_types: vec!["memory".to_owned()],
                config_schema: json!({}),
                credentials: Vec::new(),
                answer_credentials: Vec::new(),
                egress: Vec::new(),
                tokens: Vec::new(),
            }),
            capabilities: Capabilities {
                stacks: true,
                ..Capabilities::default()
            },
            rules_digest: None,
        }]
    }
}

#[async_trait]
impl KeyInjector for Vim {
    async fn inject(&self, _: &KeyInjection) -> Result<(), InjectionError> {
        Ok(())
    }
}
