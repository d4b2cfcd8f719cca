//! What an audit tells.

use serde::Serialize;
use utoipa::ToSchema;
use vimhost_connector::{ElementKind, Error as CallError, Owned, StackRef};
use vimhost_model::{NsrId, Resource, VimId, VnfInstanceId};

use super::mark::Mark;
use super::owner::Unowned;

/// What is to be said of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It carries a mark of this installation, and no record owns it.
    Orphan,
    /// It carries a mark of another installation of vimhost, which alone can tell whether it is owned.
    OfAnother,
    /// A record names it, and the VIM says that it does not exist.
    Missing,
    /// Elements of its kind could not be looked at, or not all of them.
    NotSeen,
}

/// What an audit has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What is to be said: `orphan`, `of-another` (installation of vimhost), `missing`, or `not-seen` (a whole kind).
    pub verdict: Verdict,
    /// Kind of element.
    pub kind: ElementKind,
    /// Its id in the VIM; null where the finding is about the kind.
    #[schema(value_type = Option<String>)]
    pub id: Option<VimId>,
    /// Its name in the VIM.
    pub name: Option<String>,
    /// The token it carries, or has to carry.
    pub token: Option<String>,
    /// The network services that its record is or was of.
    #[schema(value_type = Vec<String>)]
    pub services: Vec<NsrId>,
    /// Why, for people.
    pub reason: String,
}

/// One step of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditPage {
    /// What was looked at.
    pub kind: ElementKind,
    /// How many elements of the VIM, or records of the host, were looked at.
    pub looked_at: usize,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl AuditPage {
    pub(super) fn not_seen(kind: ElementKind, reason: impl Into<String>) -> Self {
        let finding = Finding {
            verdict: Verdict::NotSeen,
            kind,
            id: None,
            name: None,
            token: None,
            services: Vec::new(),
            reason: reason.into(),
        };
        Self {
            kind,
            looked_at: 0,
            findings: vec![finding],
        }
    }

    pub(super) fn failed(kind: ElementKind, error: &CallError) -> Self {
        Self::not_seen(kind, format!("{}: {}", error.kind.as_str(), error.message))
    }
}

/// An element that seems to be nobody's.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) element: Owned,
    pub(super) why: Unowned,
    pub(super) services: Vec<NsrId>,
}

impl Suspect {
    pub(super) fn new(element: &Owned, why: Unowned, resource: Option<&Resource>) -> Self {
        Self {
            element: element.clone(),
            why,
            services: resource.map(services).unwrap_or_default(),
        }
    }

    /// What makes it the same suspect at another look: the element and its token.
    pub(super) fn key(&self) -> (VimId, String) {
        (self.element.id.clone(), self.element.token.clone())
    }

    pub(super) fn finding(self, kind: ElementKind) -> Finding {
        Finding {
            verdict: Verdict::Orphan,
            kind,
            id: Some(self.element.id),
            name: self.element.name,
            token: Some(self.element.token),
            services: self.services,
            reason: self.why.reason().to_owned(),
        }
    }
}

impl Finding {
    pub(super) fn of_another(kind: ElementKind, element: &Owned, mark: &Mark) -> Self {
        Self {
            verdict: Verdict::OfAnother,
            kind,
            id: Some(element.id.clone()),
            name: element.name.clone(),
            token: Some(element.token.clone()),
            services: Vec::new(),
            reason: format!("it carries the mark of the installation {}", mark.installation),
        }
    }

    /// The stack of a VNF instance.
    pub(super) fn missing_stack(instance: &VnfInstanceId, stack: StackRef) -> Self {
        Self {
            verdict: Verdict::Missing,
            kind: ElementKind::Stack,
            id: stack.id,
            name: Some(stack.name),
            token: None,
            services: Vec::new(),
            reason: format!("the VIM says that it does not exist, and VNF instance {instance} names it"),
        }
    }

    pub(super) fn missing(kind: ElementKind, id: VimId, resource: &Resource) -> Self {
        Self {
            verdict: Verdict::Missing,
            kind,
            id: Some(id),
            name: resource.vim.vim_name.clone(),
            token: resource.vim.created.then(|| resource.token()),
            services: services(resource),
            reason: format!(
                "the VIM says that it does not exist, and record {} names it",
                resource.id
            ),
        }
    }
}

/// The services of a document's tasks.
fn services(resource: &Resource) -> Vec<NsrId> {
    let mut services: Vec<NsrId> = resource.tasks.iter().map(|task| task.nsr_id.clone()).collect();
    services.sort_unstable();
    services.dedup();
    services
}
