//! From a template to resources, with what is there already.
//!
//! A resource is known by its path, the names down to it. One that is there, of the same type and healthy, stays with its
//! id; any other is new, and so is everything within it. Groups choose their members before that: Heat's rule for who goes
//! when an auto-scaling group shrinks is the failed ones, then the oldest; a resource group drops the highest numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::functions::{Scope, references, replace};
use crate::ids::{resource_id, short};
use crate::stack::{Resource, StackName, Status};
use crate::template::Template;
use crate::{Content, Error, Result};

/// Heat's `max_nested_stack_depth`.
const MOST_NESTED: u8 = 5;

/// Heat's `max_resources_per_stack`.
const MOST_RESOURCES: usize = 1000;

const SCALING_GROUP: &str = "OS::Heat::AutoScalingGroup";
const RESOURCE_GROUP: &str = "OS::Heat::ResourceGroup";

/// What stands for the number of a member in the properties of a resource group's members.
const INDEX: &str = "%index%";

/// One run over a content.
#[derive(Debug)]
pub(crate) struct Expansion<'a> {
    root: &'a StackName,
    content: &'a Content,
    /// `parameter_defaults` of the environment, which hold for nested templates too.
    defaults: Map<String, Value>,
    /// `resource_registry` of the environment.
    registry: Map<String, Value>,
    before: HashMap<&'a str, &'a Resource>,
    serial: u64,
    now: u64,
    counted: usize,
    made: Vec<Resource>,
}

/// The stack, or nested stack, that resources are put into.
#[derive(Debug)]
struct Level<'l> {
    stack: &'l StackName,
    /// Path of the resource that holds it; empty for the root.
    path: &'l str,
    /// That resource's name.
    parent: Option<&'l str>,
    depth: u8,
    /// It is new, so all within it is.
    fresh: bool,
}

/// Which resource it is: one of before, or a new one.
#[derive(Debug)]
struct Identity {
    path: String,
    id: String,
    order: u64,
    created: u64,
    status: Status,
    fresh: bool,
}

/// A resource with its functions resolved.
#[derive(Debug)]
struct Definition {
    resource_type: String,
    properties: Value,
    required_by: Vec<String>,
}

impl<'a> Expansion<'a> {
    /// The resources and the serial number after.
    pub(crate) fn run(
        root: &'a StackName,
        before: &'a [Resource],
        serial: u64,
        content: &'a Content,
        now: u64,
    ) -> Result<(Vec<Resource>, u64)> {
        let mut expansion = Self {
            root,
            content,
            defaults: content.of_environment("parameter_defaults"),
            registry: content.of_environment("resource_registry"),
            before: before.iter().map(|one| (one.path.as_str(), one)).collect(),
            serial,
            now,
            counted: 0,
            made: Vec::new(),
        };
        let given = content.all_parameters();
        let template = Template::parse(&content.template)?;
        if let Some(unknown) = template.undeclared(&given) {
            return Err(Error::UnknownParameter(unknown.clone()));
        }
        let level = Level {
            stack: root,
            path: "",
            parent: None,
            depth: 0,
            fresh: false,
        };
        expansion.template(&level, &template, &given)?;
        Ok((expansion.made, expansion.serial))
    }

    /// All resources of a template.
    fn template(&mut self, level: &Level<'_>, template: &Template, given: &Map<String, Value>) -> Result<()> {
        let mut parameters = template.values(given, &self.defaults)?;
        for (name, value) in [("OS::stack_name", &level.stack.name), ("OS::stack_id", &level.stack.id)] {
            parameters.insert(name.to_owned(), Value::String(value.clone()));
        }
        // Ids first: a resource may refer to any other.
        let mut identities = Vec::new();
        let mut ids = BTreeMap::new();
        let mut needed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, definition) in &template.resources {
            let resource_type = definition.get("type").and_then(Value::as_str);
            let resource_type = resource_type.ok_or_else(|| Error::Section(format!("resources.{name}")))?;
            // The separator of paths, which Heat forbids too.
            if name.contains('/') {
                return Err(Error::Section(format!("resources.{name}")));
            }
            let identity = self.identify(level, name, resource_type)?;
            ids.insert(name.clone(), identity.id.clone());
            identities.push((name, definition, resource_type, identity));
            for needs in dependencies(definition) {
                if !template.resources.contains_key(&needs) {
                    return Err(Error::Reference {
                        target: needs,
                        place: name.clone(),
                    });
                }
                needed.entry(needs).or_default().insert(name.clone());
            }
        }
        for (name, definition, resource_type, identity) in identities {
            let scope = Scope {
                parameters: &parameters,
                ids: &ids,
                files: &self.content.files,
            };
            let properties = definition.get("properties").filter(|properties| !properties.is_null());
            let properties = properties.map_or_else(
                || Ok(Value::Object(Map::new())),
                |properties| scope.resolve(name, properties),
            )?;
            let definition = Definition {
                resource_type: resource_type.to_owned(),
                properties,
                required_by: needed.remove(name).unwrap_or_default().into_iter().collect(),
            };
            self.resource(level, name, identity, definition)?;
        }
        Ok(())
    }

    /// The resource of before, if it stays, or a new one.
    fn identify(&mut self, level: &Level<'_>, name: &str, resource_type: &str) -> Result<Identity> {
        self.counted += 1;
        if self.counted > MOST_RESOURCES {
            return Err(Error::TooMany);
        }
        let path = join(level.path, name);
        let before = self
            .before
            .get(path.as_str())
            .filter(|before| !level.fresh && !before.status.is_failed() && before.resource_type == resource_type);
        if let Some(before) = before {
            return Ok(Identity {
                id: before.physical_id.clone(),
                order: before.order,
                created: before.created,
                // What was being made when this update came is made with it.
                status: if before.status == Status::CreateInProgress {
                    Status::CreateComplete
                } else {
                    before.status
                },
                fresh: false,
                path,
            });
        }
        self.serial += 1;
        Ok(Identity {
            id: resource_id(&self.root.id, &path, self.serial),
            order: self.serial,
            created: self.now,
            status: Status::CreateComplete,
            fresh: true,
            path,
        })
    }

    /// Puts a resource into the list, and what is nested in it.
    fn resource(&mut self, level: &Level<'_>, name: &str, identity: Identity, definition: Definition) -> Result<()> {
        let Definition {
            resource_type,
            properties,
            required_by,
        } = definition;
        let changed = self
            .before
            .get(identity.path.as_str())
            .is_some_and(|before| before.properties != properties);
        self.made.push(Resource {
            name: name.to_owned(),
            resource_type: resource_type.clone(),
            physical_id: identity.id.clone(),
            status: if changed && !identity.fresh {
                Status::UpdateComplete
            } else {
                identity.status
            },
            reason: None,
            parent: level.parent.map(str::to_owned),
            stack: level.stack.clone(),
            required_by,
            created: identity.created,
            properties: properties.clone(),
            path: identity.path.clone(),
            depth: level.depth,
            order: identity.order,
        });
        let nested = StackName {
            name: format!(
                "{}-{name}-{}",
                level.stack.name,
                short(&self.root.id, &identity.path, identity.order)
            ),
            id: identity.id,
        };
        let inner = Level {
            stack: &nested,
            path: &identity.path,
            parent: Some(name),
            depth: level.depth.saturating_add(1),
            fresh: identity.fresh,
        };
        match resource_type.as_str() {
            SCALING_GROUP => {
                let names = self.scaled(&inner, &properties)?;
                self.members(&inner, names, properties.get("resource"), "resource")
            }
            RESOURCE_GROUP => {
                let count = match properties.get("count") {
                    Some(count) => number(&inner, "count", count)?,
                    None => 1,
                };
                if count > MOST_RESOURCES {
                    return Err(Error::TooMany);
                }
                let names = (0..count).map(|index| index.to_string()).collect();
                self.members(&inner, names, properties.get("resource_def"), "resource_def")
            }
            plain => self.file(&inner, plain, &properties),
        }
    }

    /// The template that a type stands for, if it stands for one.
    fn file(&mut self, inner: &Level<'_>, resource_type: &str, properties: &Value) -> Result<()> {
        let registered = self.registry.get(resource_type).and_then(Value::as_str);
        let file = registered.unwrap_or(resource_type);
        let content = self.content;
        let Some(text) = content.files.get(file) else {
            return if file.contains("::") {
                Ok(())
            } else {
                Err(Error::UnknownType(resource_type.to_owned()))
            };
        };
        if inner.depth > MOST_NESTED {
            return Err(Error::TooDeep(MOST_NESTED));
        }
        let template = Template::parse(text)?;
        let given = properties.as_object().cloned().unwrap_or_default();
        let wrong = |message: String| Error::Property {
            path: properties_of(inner),
            message,
        };
        if let Some(unknown) = template.undeclared(&given) {
            return Err(wrong(format!("Unknown Property {unknown}")));
        }
        self.template(inner, &template, &given).map_err(|error| {
            if let Error::MissingParameter(name) = &error {
                wrong(format!("Property {name} not assigned"))
            } else {
                error
            }
        })
    }

    /// The members of a group.
    fn members(
        &mut self,
        group: &Level<'_>,
        names: Vec<String>,
        definition: Option<&Value>,
        property: &str,
    ) -> Result<()> {
        let wrong = |message: &str| Error::Property {
            path: properties_of(group),
            message: message.to_owned(),
        };
        let definition = definition.ok_or_else(|| wrong(&format!("Property {property} not assigned")))?;
        let resource_type = definition.get("type").and_then(Value::as_str);
        let resource_type = resource_type.ok_or_else(|| wrong("Property type not assigned"))?;
        if group.depth > MOST_NESTED {
            return Err(Error::TooDeep(MOST_NESTED));
        }
        let properties = definition.get("properties").filter(|properties| !properties.is_null());
        let properties = properties.cloned().unwrap_or_else(|| Value::Object(Map::new()));
        for name in names {
            let identity = self.identify(group, &name, resource_type)?;
            let definition = Definition {
                resource_type: resource_type.to_owned(),
                properties: replace(&properties, INDEX, &name),
                required_by: Vec::new(),
            };
            self.resource(group, &name, identity, definition)?;
        }
        Ok(())
    }

    /// Names of the members an auto-scaling group is to have: those who stay, oldest first, and new ones.
    fn scaled(&mut self, group: &Level<'_>, properties: &Value) -> Result<Vec<String>> {
        let of_before = |one: &&Resource| {
            one.path
                .rsplit_once('/')
                .is_some_and(|(holder, _)| holder == group.path)
        };
        let mut members: Vec<&Resource> = self.before.values().copied().filter(of_before).collect();
        if group.fresh {
            members.clear();
        }
        members.sort_by_key(|one| (!one.status.is_failed(), one.order));
        let limit = |name: &str| {
            let limit = properties.get(name);
            limit.map(|limit| number(group, name, limit)).transpose()
        };
        let smallest = limit("min_size")?.unwrap_or_default();
        let largest = limit("max_size")?.unwrap_or(usize::MAX);
        let wanted = match limit("desired_capacity")? {
            Some(wanted) => wanted,
            None if group.fresh => smallest,
            None => members.len(),
        };
        let wanted = wanted.min(largest).max(smallest);
        if wanted > MOST_RESOURCES {
            return Err(Error::TooMany);
        }
        let mut staying: Vec<&Resource> = members.split_off(members.len().saturating_sub(wanted));
        staying.sort_by_key(|one| one.order);
        let mut names: Vec<String> = staying.iter().map(|one| one.name.clone()).collect();
        while names.len() < wanted {
            // A number of its own, so that two new members of one update do not get the same name.
            self.serial += 1;
            names.push(short(&self.root.id, group.path, self.serial));
        }
        Ok(names)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}

/// Names of the resources that must be there before one.
fn dependencies(definition: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(properties) = definition.get("properties") {
        references(properties, &mut found);
    }
    match definition.get("depends_on") {
        Some(Value::String(name)) => {
            found.insert(name.clone());
        }
        Some(Value::Array(names)) => found.extend(names.iter().filter_map(Value::as_str).map(str::to_owned)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
    }
    found
}

/// Where the properties of the resource stand that holds a level, in Heat's words.
fn properties_of(level: &Level<'_>) -> String {
    format!("resources.{}.properties", level.path.replace('/', "."))
}

/// A size of a group; clients send numbers as text too.
fn number(group: &Level<'_>, property: &str, value: &Value) -> Result<usize> {
    let number = match value.as_str() {
        Some(text) => text.parse().ok(),
        None => value.as_u64().and_then(|number| usize::try_from(number).ok()),
    };
    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    number.ok_or_else(|| Error::Property {
        path: format!("{}.{property}", properties_of(group)),
        message: format!("Value '{shown}' is not an integer"),
    })
}
