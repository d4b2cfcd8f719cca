//! The documents of a VNFD: the main one and what it imports, and the types they define.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::place::Place;
use super::{Error, nodes};
use crate::csar::Archive;
use crate::yaml::{self, Left};

/// Most documents of one VNFD. Real ones have three to ten.
const MAX_DOCUMENTS: usize = 64;

/// Most bytes of all documents together, as JSON. The standard's own definitions have some hundred thousand, a VNFD has a few ten thousand.
const MAX_BYTES: usize = 8 << 20;

/// Most node templates of all documents together. A VDU with its ports and storages is some five, and for each the types it is derived
/// from are looked for in all documents.
const MAX_NODES: usize = 2_000;

/// How long a chain of imports may be.
const MAX_IMPORT_DEPTH: usize = 8;

/// How long a chain of `derived_from` may be.
const MAX_TYPE_DEPTH: usize = 32;

/// The type every VNF is derived from.
const VNF: &str = "tosca.nodes.nfv.VNF";

/// What is left of what all documents may be together.
struct Bounds {
    bytes: Left,
    nodes: usize,
}

/// Documents by path.
#[derive(Debug, Default)]
pub(super) struct Documents {
    by_path: BTreeMap<String, Value>,
    entry: String,
}

impl Documents {
    /// Reads the main document of a package and, again and again, what is imported.
    pub(super) fn read(archive: &Archive) -> Result<Self, Error> {
        let mut documents = Self {
            by_path: BTreeMap::new(),
            entry: archive.entry().to_owned(),
        };
        let mut left = Bounds {
            bytes: Left::of(MAX_BYTES),
            nodes: MAX_NODES,
        };
        documents.add(archive, archive.entry(), 0, &mut left)?;
        Ok(documents)
    }

    fn add(&mut self, archive: &Archive, path: &str, depth: usize, left: &mut Bounds) -> Result<(), Error> {
        if self.by_path.contains_key(path) {
            return Ok(());
        }
        let refuse = |reason: String| Error::Unreadable {
            file: path.to_owned(),
            reason,
        };
        if depth > MAX_IMPORT_DEPTH {
            return Err(refuse(format!(
                "it is imported over more than {MAX_IMPORT_DEPTH} documents"
            )));
        }
        if self.by_path.len() >= MAX_DOCUMENTS {
            return Err(refuse(format!("the VNFD has more than {MAX_DOCUMENTS} documents")));
        }
        let bytes = archive
            .file(path)
            .ok_or_else(|| refuse("there is no such file in the package".to_owned()))?;
        let document = yaml::read(bytes).map_err(refuse)?;
        left.bytes.take(&document).map_err(refuse)?;
        if !document.is_object() {
            return Err(refuse("it is no map".to_owned()));
        }
        let (imports, nodes) = {
            let place = Place::document(path, &document);
            (imports(&place)?, nodes::of(&place)?.len())
        };
        left.nodes = left
            .nodes
            .checked_sub(nodes)
            .ok_or_else(|| refuse(format!("the VNFD has more than {MAX_NODES} node templates")))?;
        self.by_path.insert(path.to_owned(), document);
        for import in imports {
            if is_elsewhere(&import) {
                continue;
            }
            let target = beside(path, &import).ok_or_else(|| refuse(format!("import {import} leaves the package")))?;
            if archive.file(&target).is_none() && is_standard(&target) {
                continue;
            }
            if archive.file(&target).is_none() {
                return Err(refuse(format!("it imports {import}, which is not in the package")));
            }
            self.add(archive, &target, depth.saturating_add(1), left)?;
        }
        Ok(())
    }

    /// All of them, the main one first.
    pub(super) fn all(&self) -> Vec<Place<'_>> {
        let main = self.by_path.get_key_value(&self.entry);
        let others = self.by_path.iter().filter(|(path, _)| **path != self.entry);
        main.into_iter()
            .chain(others)
            .map(|(path, document)| Place::document(path, document))
            .collect()
    }

    /// Paths of the documents.
    pub(super) fn paths(&self) -> BTreeSet<String> {
        self.by_path.keys().cloned().collect()
    }

    /// A definition: `section` is `node_types` or `data_types`.
    pub(super) fn definition(&self, section: &str, name: &str) -> Option<Place<'_>> {
        self.all()
            .into_iter()
            .find_map(|document| document.get(section)?.get(name))
    }

    /// A type and what it is derived from, the nearest first; types of the standard need not be defined in the package.
    pub(super) fn lineage(&self, section: &str, name: &str) -> Vec<String> {
        let mut lineage = vec![name.to_owned()];
        while lineage.len() < MAX_TYPE_DEPTH {
            let parent = lineage
                .last()
                .and_then(|name| self.definition(section, name))
                .and_then(|definition| definition.get("derived_from"))
                .and_then(|parent| parent.text().ok());
            match parent {
                Some(parent) if !lineage.contains(&parent) => lineage.push(parent),
                _ => break,
            }
        }
        lineage
    }

    /// Whether a node type is another one or derived from it.
    pub(super) fn is_a(&self, node_type: &str, base: &str) -> bool {
        self.lineage("node_types", node_type).iter().any(|name| name == base)
    }

    /// Whether a node type is a VNF.
    pub(super) fn is_vnf(&self, node_type: &str) -> bool {
        self.is_a(node_type, VNF)
    }
}

/// What a document imports: paths, maps with `file`, or either under a name.
fn imports(document: &Place<'_>) -> Result<Vec<String>, Error> {
    let mut imports = Vec::new();
    let Some(list) = document.get("imports") else {
        return Ok(imports);
    };
    for item in list.items() {
        if item.value.is_string() {
            imports.push(item.text()?);
        } else if let Some(file) = item.get("file") {
            imports.push(file.text()?);
        } else {
            for (_, named) in item.entries()? {
                let file = named.get("file").unwrap_or(named);
                imports.push(file.text()?);
            }
        }
    }
    Ok(imports)
}

/// What is fetched from a network elsewhere; here nothing is.
fn is_elsewhere(import: &str) -> bool {
    import.contains("://")
}

/// The standard's own definitions, which many packages name and some do not carry.
fn is_standard(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("etsi_nfv_sol001_")
}

/// A path as it is written in a document, as one from the root of the package. None when it leaves that.
pub(super) fn beside(document: &str, path: &str) -> Option<String> {
    let directory = document.rsplit_once('/').map_or("", |(directory, _)| directory);
    let from_root = path.strip_prefix('/');
    let mut parts: Vec<&str> = match from_root {
        Some(_) => Vec::new(),
        None => directory.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in from_root.unwrap_or(path).split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_beside_its_document() {
        assert_eq!(
            beside("Definitions/a.yaml", "b.yaml").as_deref(),
            Some("Definitions/b.yaml")
        );
        assert_eq!(
            beside("Definitions/a.yaml", "../Files/x.img").as_deref(),
            Some("Files/x.img")
        );
        assert_eq!(beside("a.yaml", "./b.yaml").as_deref(), Some("b.yaml"));
        assert_eq!(beside("Definitions/a.yaml", "/Files/x").as_deref(), Some("Files/x"));
        assert_eq!(beside("a.yaml", "../b.yaml"), None);
    }
}
