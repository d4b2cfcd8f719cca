//! Stacks, both ways.

use std::collections::HashSet;

use serde_json::Value;
use vimhost_connector::{
    ObservedStacks, StackAction, StackContent, StackObservation, StackProgress, StackRef, StackRequest, StackResource,
    Step, UpdateMode,
};

use super::{Reader, Rubbish, maybe_text_of};
use crate::bindings::guest::stacks as wit;
use crate::text::safe;

pub(crate) fn stack_ref(stack: &StackRef) -> wit::StackRef {
    wit::StackRef {
        name: stack.name.clone(),
        id: maybe_text_of(stack.id.as_ref()),
    }
}

pub(crate) fn stack_content(content: &StackContent) -> wit::StackContent {
    wit::StackContent {
        template: content.template.clone(),
        files: content.files.clone(),
        parameters: Value::Object(content.parameters.clone()).to_string(),
        environment: content
            .environment
            .as_ref()
            .map(|environment| Value::Object(environment.clone()).to_string()),
        rollback_on_failure: content.rollback_on_failure,
        timeout_minutes: content.timeout_minutes,
    }
}

pub(crate) fn stack_request(request: &StackRequest) -> wit::StackRequest {
    wit::StackRequest {
        name: request.name.clone(),
        content: stack_content(&request.content),
    }
}

pub(crate) fn update_mode(mode: UpdateMode) -> wit::UpdateMode {
    match mode {
        UpdateMode::Partial => wit::UpdateMode::Partial,
        UpdateMode::Full => wit::UpdateMode::Full,
    }
}

impl Reader<'_> {
    pub(crate) fn update_step(self, step: wit::UpdateStep) -> Result<Step<()>, Rubbish> {
        Ok(match step {
            wit::UpdateStep::Done => Step::Done(()),
            wit::UpdateStep::Pending(pending) => Step::Pending(self.pending(pending)?),
        })
    }

    fn stack_ref(self, stack: wit::StackRef) -> Result<StackRef, Rubbish> {
        Ok(StackRef {
            name: self.text(stack.name, "stack.name")?,
            id: self.maybe_id(stack.id, "stack.id")?,
        })
    }

    pub(crate) fn stack(self, item: wit::StackObservation) -> Result<StackObservation, Rubbish> {
        Ok(StackObservation {
            stack: self.stack_ref(item.stack)?,
            action: match item.action {
                wit::StackAction::Create => StackAction::Create,
                wit::StackAction::Update => StackAction::Update,
                wit::StackAction::Delete => StackAction::Delete,
                wit::StackAction::Rollback => StackAction::Rollback,
                wit::StackAction::Other => StackAction::Other,
            },
            progress: match item.progress {
                wit::StackProgress::InProgress => StackProgress::InProgress,
                wit::StackProgress::Complete => StackProgress::Complete,
                wit::StackProgress::Failed => StackProgress::Failed,
            },
            status_text: self.text(item.status_text, "status-text")?,
            reason: item.reason.map(|reason| safe(&reason, self.limits.answer_text)),
            updated: self.maybe_text(item.updated, "updated")?,
        })
    }

    /// An observation of `asked` stacks; nothing else may stand in it.
    pub(crate) fn observed_stacks(
        self,
        observed: wit::ObservedStacks,
        asked: &[StackRef],
    ) -> Result<ObservedStacks, Rubbish> {
        let changed = self.list(observed.changed, "changed", |item| self.stack(item))?;
        let gone = self.list(observed.gone, "gone", |stack| self.stack_ref(stack))?;
        let names: HashSet<&str> = asked.iter().map(|stack| stack.name.as_str()).collect();
        let ids: HashSet<_> = asked.iter().filter_map(|stack| stack.id.as_ref()).collect();
        let known = |stack: &StackRef| {
            names.contains(stack.name.as_str()) || stack.id.as_ref().is_some_and(|id| ids.contains(id))
        };
        if let Some(stack) = changed
            .iter()
            .map(|item| &item.stack)
            .chain(&gone)
            .find(|stack| !known(stack))
        {
            return Err(format!(
                "it speaks of stack {:?}, which was not asked for",
                safe(&stack.name, 256)
            ));
        }
        Ok(ObservedStacks {
            changed,
            gone,
            cursor: self.blob(observed.cursor, "cursor")?,
            more: observed.more,
        })
    }

    pub(crate) fn stack_resources(self, resources: Vec<wit::StackResource>) -> Result<Vec<StackResource>, Rubbish> {
        self.list(resources, "the list of resources", |item| {
            Ok(StackResource {
                name: self.text(item.name, "name")?,
                resource_type: self.text(item.resource_type, "resource-type")?,
                physical_id: self.maybe_id(item.physical_id, "physical-id")?,
                status_text: self.text(item.status_text, "status-text")?,
                reason: item.reason.map(|reason| safe(&reason, self.limits.answer_text)),
                parent: self.maybe_text(item.parent, "parent")?,
                stack: self.stack_ref(item.stack)?,
                required_by: self.list(item.required_by, "required-by", |name| self.text(name, "required-by"))?,
                created: self.maybe_text(item.created, "created")?,
            })
        })
    }

    pub(crate) fn stack_content(self, content: wit::StackContent) -> Result<StackContent, Rubbish> {
        let limit = self.limits.answer_template;
        let object = |text: &str, what: &str| {
            if let Value::Object(object) = self.json(text, what)? {
                Ok(object)
            } else {
                Err(format!("{what} is not an object"))
            }
        };
        let parameters = object(&content.parameters, "parameters")?;
        let environment = content
            .environment
            .map(|environment| object(&environment, "environment"))
            .transpose()?;
        Ok(StackContent {
            template: content
                .template
                .map(|template| self.bounded(template, limit, "template"))
                .transpose()?,
            files: self.list(content.files, "files", |(name, text)| {
                Ok((self.text(name, "files")?, self.bounded(text, limit, "files")?))
            })?,
            parameters,
            environment,
            rollback_on_failure: content.rollback_on_failure,
            timeout_minutes: content.timeout_minutes,
        })
    }
}
