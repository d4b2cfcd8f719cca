//! Resources of a stack, those of nested stacks included.

use serde::Deserialize;
use serde_json::json;
use vimhost_sdk::prelude::*;

use crate::finding::At;
use crate::updating::step;
use crate::vim::Vim;

#[derive(Deserialize)]
struct Listed {
    resources: Vec<Resource>,
}

/// A resource as Heat lists it.
#[derive(Deserialize)]
struct Resource {
    resource_name: String,
    #[serde(default)]
    resource_type: String,
    #[serde(default)]
    physical_resource_id: Option<String>,
    #[serde(default)]
    resource_status: String,
    #[serde(default)]
    resource_status_reason: Option<String>,
    #[serde(default)]
    parent_resource: Option<String>,
    #[serde(default)]
    required_by: Vec<String>,
    #[serde(default)]
    creation_time: Option<String>,
    #[serde(default)]
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    rel: String,
    #[serde(default)]
    href: String,
}

/// Resources down to `depth` nested stacks.
pub(crate) fn list(vim: &Vim, stack: &StackRef, depth: u8) -> Result<Vec<StackResource>, Error> {
    let listed: Vec<StackResource> = vim.on_stack(stack, |at| {
        let listed = resources(vim, at, depth)?;
        if listed.is_empty() {
            // Of a stack that is gone Heat may list nothing, and a live one without resources is rare.
            vim.live(at)?;
        }
        Ok(listed.into_iter().map(|one| one.told(at)).collect())
    })?;
    Ok(listed)
}

fn resources(vim: &Vim, at: At<'_>, depth: u8) -> Result<Vec<Resource>, Failure> {
    let depth = (depth > 0).then(|| depth.to_string());
    let response = vim.send(&[at.name, at.id, "resources"], |heat, path| {
        heat.get(path.iter().copied())
            .query_opt("nested_depth", depth.as_deref())
            .doing(format!("listing the resources of stack {}", at.name))
    })?;
    Ok(response.json::<Listed>()?.resources)
}

impl Resource {
    fn told(self, asked: At<'_>) -> StackResource {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let owner = self.links.iter().find(|link| link.rel == "stack");
        let owner = owner.and_then(|link| stack_of(&link.href));
        let stack = owner.unwrap_or_else(|| StackRef {
            name: asked.name.to_owned(),
            id: Some(asked.id.to_owned()),
        });
        StackResource {
            name: self.resource_name,
            resource_type: self.resource_type,
            physical_id: given(self.physical_resource_id),
            status_text: self.resource_status,
            reason: given(self.resource_status_reason),
            parent: given(self.parent_resource),
            stack,
            required_by: self.required_by,
            created: given(self.creation_time),
        }
    }
}

/// The stack that a link of rel `stack` names: its last two parts. Its host is nobody's business.
fn stack_of(href: &str) -> Option<StackRef> {
    let path = href.split(['?', '#']).next()?;
    let mut parts = path.trim_end_matches('/').rsplit('/');
    let (id, name) = (parts.next()?, parts.next()?);
    (!id.is_empty() && !name.is_empty()).then(|| StackRef {
        name: name.to_owned(),
        id: Some(id.to_owned()),
    })
}

/// Lets the next update replace a resource. Doing it twice is as doing it once.
pub(crate) fn mark_unhealthy(
    vim: &Vim,
    call: &Call,
    stack: &StackRef,
    resource: &str,
    reason: &str,
) -> Result<UpdateStep, Error> {
    let body = json!({"mark_unhealthy": true, "resource_status_reason": reason});
    let marked = vim.on_stack(stack, |at| {
        vim.send(&[at.name, at.id, "resources", resource], |heat, path| {
            heat.patch(path.iter().copied())
                .json(&body)
                .doing(format!("marking resource {resource} of stack {} unhealthy", at.name))
        })
    });
    step(call, marked.map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_the_stack_by_its_last_two_parts() {
        let stack = stack_of("http://elsewhere:8004/v1/p/stacks/vnf-1-VDU1-abc/7f").unwrap();
        assert_eq!(
            (stack.name.as_str(), stack.id.as_deref()),
            ("vnf-1-VDU1-abc", Some("7f"))
        );
        assert_eq!(stack_of(""), None);
    }
}
