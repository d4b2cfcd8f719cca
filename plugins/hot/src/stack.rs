//! A stack that was expanded: its resources as Heat lists them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expand::Expansion;
use crate::{Content, Error, Result};

/// What of a new resource fails where a stack fails.
const SERVER: &str = "OS::Nova::Server";

/// A stack, or a nested one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackName {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
}

/// How a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Being made.
    CreateInProgress,
    /// As it was made.
    CreateComplete,
    /// It was not made; the next update replaces it.
    CreateFailed,
    /// Changed by an update.
    UpdateComplete,
    /// Marked unhealthy; the next update replaces it.
    CheckFailed,
}

impl Status {
    /// The VIM's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::CreateFailed => "CREATE_FAILED",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::CheckFailed => "CHECK_FAILED",
        }
    }

    /// Whether the next update replaces the resource.
    #[must_use]
    pub const fn is_failed(self) -> bool {
        matches!(self, Self::CreateFailed | Self::CheckFailed)
    }
}

/// A resource of a stack or of one nested in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name in its template; of members of groups: given out.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its id; of those that hold a nested stack, that stack's.
    pub physical_id: String,
    /// How it is.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
    /// Name of the resource that holds the nested stack it is in.
    pub parent: Option<String>,
    /// The stack it is in.
    pub stack: StackName,
    /// Names of the resources of the same template that need it.
    pub required_by: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// Its properties, without functions.
    pub properties: Value,
    /// Names down to it, with `/` between them.
    pub path: String,
    /// In how many nested stacks it is.
    pub depth: u8,
    /// Its place in the order in which the stack's resources were made.
    pub order: u64,
}

/// A stack that was expanded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    name: StackName,
    /// How many resources were ever made.
    serial: u64,
    /// What holds others stands before them.
    resources: Vec<Resource>,
}

impl Stack {
    /// Makes everything the content names.
    ///
    /// # Errors
    ///
    /// What is wrong with the content.
    pub fn create(name: StackName, content: &Content, now: u64) -> Result<Self> {
        let none = Self {
            name,
            serial: 0,
            resources: Vec::new(),
        };
        none.update(content, now)
    }

    /// The stack with another content: what is in both stays, unless it failed or was marked.
    ///
    /// # Errors
    ///
    /// What is wrong with the content.
    pub fn update(&self, content: &Content, now: u64) -> Result<Self> {
        let (resources, serial) = Expansion::run(&self.name, &self.resources, self.serial, content, now)?;
        Ok(Self {
            name: self.name.clone(),
            serial,
            resources,
        })
    }

    /// How many resources were ever made; see [`Stack::making`].
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// All resources.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The resources of the stack or of one nested in it, by its id, down to `depth` stacks within that one. `None` when
    /// there is no such stack here.
    #[must_use]
    pub fn resources_of(&self, stack: &str, depth: u8) -> Option<Vec<&Resource>> {
        if stack == self.name.id {
            let within = |resource: &&Resource| resource.depth <= depth;
            return Some(self.resources.iter().filter(within).collect());
        }
        let mut inside = self.resources.iter().filter(|resource| resource.stack.id == stack);
        let first = inside.next()?;
        let holder = first.path.rsplit_once('/').map_or("", |(holder, _)| holder);
        let prefix = format!("{holder}/");
        let deepest = first.depth.saturating_add(depth);
        let within = |resource: &&Resource| resource.path.starts_with(&prefix) && resource.depth <= deepest;
        Some(self.resources.iter().filter(within).collect())
    }

    /// Marks a resource, by its name or its id, so that the next update replaces it. False when the stack is not here.
    ///
    /// # Errors
    ///
    /// When the stack is here and has no such resource.
    pub fn mark_unhealthy(&mut self, stack: &str, resource: &str, reason: &str) -> Result<bool> {
        let (mut here, mut name) = (stack == self.name.id, self.name.name.as_str());
        for one in &mut self.resources {
            if one.stack.id != stack {
                continue;
            }
            if one.name == resource || one.physical_id == resource {
                one.status = Status::CheckFailed;
                one.reason = Some(reason.to_owned());
                return Ok(true);
            }
            (here, name) = (true, one.stack.name.as_str());
        }
        if here {
            return Err(Error::NoResource {
                resource: resource.to_owned(),
                stack: name.to_owned(),
            });
        }
        Ok(false)
    }

    /// Shows what was made since a serial number as being made.
    pub fn making(&mut self, since: u64) {
        self.set(since, Status::CreateInProgress, None, |_| true);
    }

    /// Shows what was made since a serial number as made.
    pub fn made(&mut self, since: u64) {
        self.set(since, Status::CreateComplete, None, |_| true);
    }

    /// Shows the servers made since a serial number as failed, and the rest as made. Without servers all of it failed.
    pub fn failed(&mut self, since: u64, reason: &str) {
        let is_server = |resource: &Resource| resource.resource_type == SERVER;
        let mut new = self.resources.iter().filter(|resource| resource.order > since);
        let servers = new.any(is_server);
        self.made(since);
        self.set(since, Status::CreateFailed, Some(reason), |resource| {
            !servers || is_server(resource)
        });
    }

    fn set(&mut self, since: u64, status: Status, reason: Option<&str>, which: impl Fn(&Resource) -> bool) {
        for resource in &mut self.resources {
            if resource.order > since && which(resource) {
                resource.status = status;
                resource.reason = reason.map(str::to_owned);
            }
        }
    }
}
