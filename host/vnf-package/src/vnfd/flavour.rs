//! A deployment flavour: one service template.

use std::collections::BTreeMap;

use vimhost_model::vnf::DeploymentFlavour;

use super::documents::{Documents, beside};
use super::place::Place;
use super::{Error, nodes, policies};

/// What of the standard's types is read.
#[derive(Clone, Copy)]
enum Kind {
    Vnf,
    Vdu,
    Storage,
    VduCp,
    ExtCp,
    VirtualLink,
    Other,
}

fn kind_of(documents: &Documents, node: &Place<'_>) -> Result<Kind, Error> {
    const KINDS: [(&str, Kind); 8] = [
        ("tosca.nodes.nfv.VNF", Kind::Vnf),
        ("tosca.nodes.nfv.Vdu.Compute", Kind::Vdu),
        ("tosca.nodes.nfv.Vdu.VirtualBlockStorage", Kind::Storage),
        ("tosca.nodes.nfv.Vdu.VirtualObjectStorage", Kind::Storage),
        ("tosca.nodes.nfv.Vdu.VirtualFileStorage", Kind::Storage),
        ("tosca.nodes.nfv.VduCp", Kind::VduCp),
        ("tosca.nodes.nfv.VnfExtCp", Kind::ExtCp),
        ("tosca.nodes.nfv.VnfVirtualLink", Kind::VirtualLink),
    ];
    let lineage = documents.lineage("node_types", &nodes::type_of(node)?);
    let found = lineage
        .iter()
        .find_map(|name| KINDS.iter().find(|(known, _)| known == name));
    Ok(found.map_or(Kind::Other, |(_, kind)| *kind))
}

/// Reads a flavour, its templates excepted.
pub(super) fn read(documents: &Documents, template: &Place<'_>) -> Result<DeploymentFlavour, Error> {
    let mut flavour = DeploymentFlavour {
        description: String::new(),
        instantiation_levels: BTreeMap::new(),
        default_level: None,
        aspects: BTreeMap::new(),
        vdus: BTreeMap::new(),
        storages: BTreeMap::new(),
        cps: BTreeMap::new(),
        virtual_links: BTreeMap::new(),
        scripts: BTreeMap::new(),
        base_hot: None,
    };
    for (name, node) in nodes::of(template)? {
        let name = name.to_owned();
        match kind_of(documents, &node)? {
            Kind::Vnf => {
                if let Some(description) = node.at(&["properties", "flavour_description"]) {
                    flavour.description = description.text()?;
                }
                flavour.scripts = scripts(&node)?;
            }
            Kind::Vdu => {
                let vdu = nodes::vdu(&name, &node)?;
                flavour.vdus.insert(name, vdu);
            }
            Kind::Storage => {
                let storage = nodes::storage(&name, &node)?;
                flavour.storages.insert(name, storage);
            }
            Kind::VduCp => {
                flavour.cps.insert(name, nodes::vdu_cp(&node)?);
            }
            Kind::ExtCp => {
                flavour.cps.insert(name, nodes::ext_cp(&node)?);
            }
            Kind::VirtualLink => {
                flavour.virtual_links.insert(name, nodes::virtual_link(&node));
            }
            Kind::Other => {}
        }
    }
    check_references(&flavour, template)?;
    mark_external(&mut flavour, template)?;
    policies::read(&mut flavour, template)?;
    Ok(flavour)
}

/// What a node requires must be there.
fn check_references(flavour: &DeploymentFlavour, template: &Place<'_>) -> Result<(), Error> {
    for (name, node) in nodes::of(template)? {
        if let Some(vdu) = flavour.vdus.get(name)
            && let Some(storage) = vdu.storages.iter().find(|id| !flavour.storages.contains_key(*id))
        {
            return Err(node.refuse(format!("virtual_storage {storage} is not in the template")));
        }
        let Some(cp) = flavour.cps.get(name) else { continue };
        if let Some(vdu) = cp.vdu.as_ref().filter(|id| !flavour.vdus.contains_key(*id)) {
            return Err(node.refuse(format!("virtual_binding {vdu} is no VDU of the template")));
        }
        let link = cp.virtual_link.as_ref();
        if let Some(link) = link.filter(|id| !flavour.virtual_links.contains_key(*id)) {
            return Err(node.refuse(format!("virtual link {link} is not in the template")));
        }
    }
    Ok(())
}

/// Marks the connection points that the substitution mappings show to the outside.
fn mark_external(flavour: &mut DeploymentFlavour, template: &Place<'_>) -> Result<(), Error> {
    let mapped = template.at(&["topology_template", "substitution_mappings", "requirements"]);
    let Some(mapped) = mapped else { return Ok(()) };
    for (_, target) in mapped.named_items()? {
        for name in target.items().iter().filter_map(|item| item.value.as_str()) {
            if let Some(cp) = flavour.cps.get_mut(name) {
                cp.external = true;
            }
        }
    }
    Ok(())
}

/// Scripts that the interfaces of the VNF name, by operation and end.
fn scripts(node: &Place<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut scripts = BTreeMap::new();
    let Some(interfaces) = node.get("interfaces") else {
        return Ok(scripts);
    };
    for (_, interface) in interfaces.entries()? {
        if interface.value.is_null() {
            continue;
        }
        let operations = interface.get("operations").unwrap_or(interface);
        for (operation, what) in operations.entries()? {
            if !(operation.ends_with("_start") || operation.ends_with("_end")) {
                continue;
            }
            if let Some(script) = implementation(&what)? {
                scripts.insert(operation.to_owned(), script_path(node, &script)?);
            }
        }
    }
    Ok(scripts)
}

/// What an operation is implemented by: a name, `implementation: name`, or `implementation: {primary: name}`.
fn implementation(operation: &Place<'_>) -> Result<Option<String>, Error> {
    if operation.value.is_string() {
        return operation.text().map(Some);
    }
    let Some(implementation) = operation.get("implementation") else {
        return Ok(None);
    };
    let name = implementation.get("primary").unwrap_or(implementation);
    name.text().map(Some)
}

/// The path of a script that is named as an artifact; any other name is a path already.
fn script_path(node: &Place<'_>, script: &str) -> Result<String, Error> {
    let Some(artifact) = node.at(&["artifacts", script]) else {
        return Ok(script.to_owned());
    };
    let file = artifact.get("file").unwrap_or(artifact);
    let path = file.text()?;
    beside(file.file, &path).ok_or_else(|| file.refuse(format!("{path} leaves the package")))
}
