//! VNFDs (SOL001): the TOSCA documents of a package as one [`Vnfd`].
//!
//! A VNFD has a main document that says what the VNF is, and for each deployment flavour a service template whose `substitution_mappings`
//! name the VNF's node type and the flavour; a VNFD with one flavour may be a single document. Read is what the life cycle needs. What the
//! standard knows beyond that is left alone, so a VNFD is not refused for being richer than what is read.

mod documents;
mod flavour;
mod nodes;
mod package_files;
mod place;
mod policies;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use vimhost_model::VnfdId;
use vimhost_model::vnf::{PackageFile, SoftwareImage, Vnfd};

use crate::csar::{self, Archive};
use crate::yaml::Left;
use documents::Documents;
use place::Place;

/// Characters of what an instance shows of its VNFD, and of the id of a flavour.
const MAX_TEXT: usize = 255;

/// Largest VNFD as it is kept, in one document of the store with room for 16 MB, and read with each operation.
const MAX_VNFD_BYTES: usize = 12 << 20;

/// Why a VNFD is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A document cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// Path in the package.
        file: String,
        /// Why.
        reason: String,
    },
    /// Something in a document is not as it should be.
    #[error("{file}: {path}: {reason}")]
    Wrong {
        /// Path in the package.
        file: String,
        /// Where in the document.
        path: String,
        /// Why.
        reason: String,
    },
    /// Something that no single place is to blame for.
    #[error("the VNFD {0}")]
    Whole(String),
}

/// What a package describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The VNFD.
    pub vnfd: Vnfd,
    /// Paths of its documents, the main one included.
    pub documents: BTreeSet<String>,
    /// Images it names.
    pub software_images: Vec<SoftwareImage>,
    /// Files that are neither VNFD nor image.
    pub additional_artifacts: Vec<PackageFile>,
}

/// Reads the VNFD of a package, its templates and what it says of its scripts.
///
/// # Errors
/// When a document cannot be read or does not say what is needed.
pub fn describe(archive: &Archive) -> Result<Described, Error> {
    let documents = Documents::read(archive)?;
    let vnf = Vnf::of(&documents)?;
    let mut flavours = BTreeMap::new();
    let mut left = Left::of(package_files::MAX_TEMPLATES_BYTES);
    for template in flavour_templates(&documents)? {
        let id = flavour_id(&documents, &vnf, &template)?;
        if id.chars().count() > MAX_TEXT {
            return Err(template.refuse(format!("the flavour_id has more than {MAX_TEXT} characters")));
        }
        let mut flavour = flavour::read(&documents, &template)?;
        flavour.base_hot = package_files::base_hot(archive, &id, &mut left)?;
        if flavours.insert(id.clone(), flavour).is_some() {
            return Err(template.refuse(format!("flavour {id} is described twice")));
        }
    }
    if flavours.is_empty() {
        return Err(Error::Whole(
            "has no deployment flavour: no service template has substitution_mappings of the VNF's type".to_owned(),
        ));
    }
    let paths = documents.paths();
    let software_images = package_files::software_images(&flavours);
    let additional_artifacts = package_files::additional_artifacts(archive, &paths, &software_images);
    let id = vnf.need(&documents, "descriptor_id")?;
    let id: VnfdId = id
        .parse()
        .map_err(|error| Error::Whole(format!("has a bad descriptor_id: {error}")))?;
    let vnfd = Vnfd {
        id,
        provider: vnf.need(&documents, "provider")?,
        product_name: vnf.need(&documents, "product_name")?,
        software_version: vnf.need(&documents, "software_version")?,
        version: vnf.need(&documents, "descriptor_version")?,
        vnfm_info: vnf.texts(&documents, "vnfm_info"),
        flavours,
        configurable_properties: vnf.defaults(&documents, &["configurable_properties"])?,
        extensions: vnf.defaults(&documents, &["modifiable_attributes", "extensions"])?,
        metadata: vnf.defaults(&documents, &["modifiable_attributes", "metadata"])?,
        user_data_scripts: package_files::user_data_scripts(archive),
    };
    let bytes = serde_json::to_vec(&vnfd).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_VNFD_BYTES {
        return Err(Error::Whole(format!(
            "has, with its templates, more than {MAX_VNFD_BYTES} bytes"
        )));
    }
    Ok(Described {
        vnfd,
        documents: paths,
        software_images,
        additional_artifacts,
    })
}

/// Checks the images of a package against the digests that its VNFD says of them.
///
/// Apart from [`describe`], which reads a package again that was taken long ago.
///
/// # Errors
/// When an image in the package has another digest, or what is said of it cannot be checked.
pub fn check_images(archive: &Archive, vnfd: &Vnfd) -> Result<(), csar::Error> {
    package_files::check_images(archive, vnfd)
}

/// Service templates that describe a flavour.
fn flavour_templates(documents: &Documents) -> Result<Vec<Place<'_>>, Error> {
    let mut templates = Vec::new();
    for document in documents.all() {
        let Some(mappings) = document.at(&["topology_template", "substitution_mappings"]) else {
            continue;
        };
        if documents.is_vnf(&mappings.need("node_type")?.text()?) {
            templates.push(document);
        }
    }
    Ok(templates)
}

/// The flavour a service template describes.
fn flavour_id(documents: &Documents, vnf: &Vnf, template: &Place<'_>) -> Result<String, Error> {
    let keys = ["topology_template", "substitution_mappings", "properties", "flavour_id"];
    if let Some(id) = template.at(&keys) {
        return id.text();
    }
    for (_, node) in nodes::of(template)? {
        if let Some(id) = node.at(&["properties", "flavour_id"])
            && documents.is_vnf(&nodes::type_of(&node)?)
        {
            return id.text();
        }
    }
    vnf.default(documents, "flavour_id")
        .ok_or_else(|| template.refuse("substitution_mappings say no flavour_id"))
}

/// The VNF itself: its type and what the node templates of that type say, the main document's first.
struct Vnf {
    node_type: String,
    said: Vec<Map<String, Value>>,
}

impl Vnf {
    fn of(documents: &Documents) -> Result<Self, Error> {
        let mut node_type = None;
        let mut said = Vec::new();
        for document in documents.all() {
            for (_, node) in nodes::of(&document)? {
                let found = nodes::type_of(&node)?;
                if !documents.is_vnf(&found) {
                    continue;
                }
                node_type.get_or_insert(found);
                let Some(properties) = node.get("properties") else {
                    continue;
                };
                let entries = properties.entries()?.into_iter();
                said.push(
                    entries
                        .filter(|(_, place)| !place.value.is_null())
                        .map(|(key, place)| (key.to_owned(), place.value.clone()))
                        .collect(),
                );
            }
        }
        let node_type = node_type.ok_or_else(|| {
            Error::Whole("has no node template of a type that is derived from tosca.nodes.nfv.VNF".to_owned())
        })?;
        Ok(Self { node_type, said })
    }

    /// Definition of a property in the type or what it is derived from.
    fn definition<'d>(&self, documents: &'d Documents, property: &str) -> Option<Place<'d>> {
        let lineage = documents.lineage("node_types", &self.node_type);
        lineage
            .iter()
            .find_map(|name| documents.definition("node_types", name)?.at(&["properties", property]))
    }

    fn default(&self, documents: &Documents, property: &str) -> Option<String> {
        self.definition(documents, property)?.get("default")?.text().ok()
    }

    /// A property of text, by a node template or by the type's default.
    fn need(&self, documents: &Documents, property: &str) -> Result<String, Error> {
        let said = self.said.iter().find_map(|said| text_of(said.get(property)?));
        let text = said.or_else(|| self.default(documents, property)).ok_or_else(|| {
            Error::Whole(format!(
                "says no {property}, neither in a node template nor as a default of its type"
            ))
        })?;
        if text.chars().count() > MAX_TEXT {
            return Err(Error::Whole(format!(
                "has a {property} of more than {MAX_TEXT} characters"
            )));
        }
        Ok(text)
    }

    /// A property that is a list of texts.
    fn texts(&self, documents: &Documents, property: &str) -> Vec<String> {
        let said = self.said.iter().find_map(|said| said.get(property).cloned());
        let value = said.or_else(|| {
            let default = self.definition(documents, property)?.get("default")?;
            Some(default.value.clone())
        });
        match value {
            Some(Value::Array(items)) => items.iter().filter_map(text_of).collect(),
            Some(other) => text_of(&other).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// What a property that is a map begins as: defaults of the fields of its data type, over them those of its definition, over them what the
    /// node templates say. `path` leads to it over fields of data types.
    fn defaults(&self, documents: &Documents, path: &[&str]) -> Result<Map<String, Value>, Error> {
        let mut defaults = Map::new();
        let Some((property, fields)) = path.split_first() else {
            return Ok(defaults);
        };
        let mut definition = self.definition(documents, property);
        for field in fields {
            definition = definition.and_then(|definition| field_of(documents, &definition, field));
        }
        if let Some(definition) = definition {
            if let Some(data_type) = definition.get("type") {
                let mut lineage = documents.lineage("data_types", &data_type.text()?);
                // The farthest first, so that the nearest counts.
                lineage.reverse();
                for name in lineage {
                    let properties = documents
                        .definition("data_types", &name)
                        .and_then(|definition| definition.get("properties"));
                    let Some(properties) = properties else { continue };
                    for (key, field) in properties.entries()? {
                        if let Some(default) = field.get("default") {
                            defaults.insert(key.to_owned(), default.value.clone());
                        }
                    }
                }
            }
            if let Some(default) = definition.get("default") {
                merge(&mut defaults, default.value);
            }
        }
        for said in self.said.iter().rev() {
            let mut value = said.get(*property);
            for field in fields {
                value = value.and_then(|value| value.get(field));
            }
            if let Some(value) = value {
                merge(&mut defaults, value);
            }
        }
        Ok(defaults)
    }
}

/// Definition of a field of a data type that a definition names.
fn field_of<'d>(documents: &'d Documents, definition: &Place<'_>, field: &str) -> Option<Place<'d>> {
    let data_type = definition.get("type")?.text().ok()?;
    let lineage = documents.lineage("data_types", &data_type);
    lineage
        .iter()
        .find_map(|name| documents.definition("data_types", name)?.at(&["properties", field]))
}

fn merge(into: &mut Map<String, Value>, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        into.insert(key.clone(), value.clone());
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
