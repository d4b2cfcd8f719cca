//! Node templates of a flavour: VDUs, storages, connection points, virtual links.

use vimhost_model::vnf::{SoftwareImage, VduProfile, VnfdCp, VnfdStorage, VnfdVdu, VnfdVirtualLink};

use super::Error;
use super::documents::beside;
use super::place::Place;

/// Node templates of a document.
pub(super) fn of<'a>(document: &Place<'a>) -> Result<Vec<(&'a str, Place<'a>)>, Error> {
    match document.at(&["topology_template", "node_templates"]) {
        Some(nodes) => nodes.entries(),
        None => Ok(Vec::new()),
    }
}

/// Type of a node template.
pub(super) fn type_of(node: &Place<'_>) -> Result<String, Error> {
    node.need("type")?.text()
}

/// What the requirements of a node of one name lead to.
pub(super) fn required(node: &Place<'_>, name: &str) -> Result<Vec<String>, Error> {
    let Some(requirements) = node.get("requirements") else {
        return Ok(Vec::new());
    };
    let mut targets = Vec::new();
    for (key, target) in requirements.named_items()? {
        if key == name {
            targets.push(match target.get("node") {
                Some(node) => node.text()?,
                None => target.text()?,
            });
        }
    }
    Ok(targets)
}

/// A VDU. How many there are at the lowest level, policies may say otherwise.
pub(super) fn vdu(name: &str, node: &Place<'_>) -> Result<VnfdVdu, Error> {
    let properties = node.need("properties")?;
    let bounds = properties.need("vdu_profile")?;
    let profile = VduProfile {
        min: bounds.need("min_number_of_instances")?.count()?,
        max: bounds.need("max_number_of_instances")?.count()?,
    };
    if profile.min > profile.max {
        return Err(bounds.refuse("min_number_of_instances is greater than max_number_of_instances"));
    }
    Ok(VnfdVdu {
        name: match properties.get("name") {
            Some(name) => name.text()?,
            None => name.to_owned(),
        },
        initial: profile.min,
        profile,
        compute_flavour: compute_flavour(node)?,
        image: image(name, node)?,
        storages: required(node, "virtual_storage")?,
        properties: properties.value.as_object().cloned().unwrap_or_default(),
    })
}

/// The name of a VM flavour: the VNFD's way to ask for one by name is an additional capability.
fn compute_flavour(node: &Place<'_>) -> Result<Option<String>, Error> {
    let keys = [
        "capabilities",
        "virtual_compute",
        "properties",
        "requested_additional_capabilities",
    ];
    let Some(capabilities) = node.at(&keys) else {
        return Ok(None);
    };
    for (_, capability) in capabilities.entries()? {
        if let Some(name) = capability.get("requested_additional_capability_name") {
            return name.text().map(Some);
        }
    }
    Ok(None)
}

/// The image of a VDU or storage.
fn image(id: &str, node: &Place<'_>) -> Result<Option<SoftwareImage>, Error> {
    let Some(data) = node.at(&["properties", "sw_image_data"]) else {
        return Ok(None);
    };
    let text = |keys: &[&str]| data.at(keys).map(|place| place.text()).transpose();
    let size = |key: &str| data.get(key).map(|place| place.size()).transpose();
    Ok(Some(SoftwareImage {
        id: id.to_owned(),
        name: data.need("name")?.text()?,
        version: text(&["version"])?.unwrap_or_default(),
        path: image_path(node)?,
        checksum_algorithm: text(&["checksum", "algorithm"])?,
        checksum: text(&["checksum", "hash"])?,
        disk_format: text(&["disk_format"])?,
        container_format: text(&["container_format"])?,
        min_disk: size("min_disk")?,
        size: size("size")?,
    }))
}

/// Where in the package an image is. One that is elsewhere has no path.
fn image_path(node: &Place<'_>) -> Result<Option<String>, Error> {
    let Some(artifacts) = node.get("artifacts") else {
        return Ok(None);
    };
    for (name, artifact) in artifacts.named_items()? {
        let kind = artifact.get("type").map(|kind| kind.text()).transpose()?;
        if name != "sw_image" && !kind.is_some_and(|kind| kind.ends_with(".SwImage")) {
            continue;
        }
        let file = artifact.get("file").unwrap_or(artifact);
        let path = file.text()?;
        if path.contains("://") {
            return Ok(None);
        }
        let found = beside(file.file, &path);
        return found
            .map(Some)
            .ok_or_else(|| file.refuse(format!("{path} leaves the package")));
    }
    Ok(None)
}

/// A storage.
pub(super) fn storage(name: &str, node: &Place<'_>) -> Result<VnfdStorage, Error> {
    let data = node.at(&["properties", "virtual_block_storage_data"]);
    let size = data.as_ref().and_then(|data| data.get("size_of_storage"));
    let volume_type = data
        .as_ref()
        .and_then(|data| data.get("volume_type"))
        .or_else(|| node.at(&["properties", "volume_type"]));
    Ok(VnfdStorage {
        image: image(name, node)?,
        size: size.map(|size| size.size()).transpose()?,
        volume_type: volume_type.map(|name| name.text()).transpose()?,
    })
}

/// A connection point of a VDU.
pub(super) fn vdu_cp(node: &Place<'_>) -> Result<VnfdCp, Error> {
    let virtual_link = required(node, "virtual_link")?.into_iter().next();
    let order = node.at(&["properties", "order"]);
    Ok(VnfdCp {
        vdu: required(node, "virtual_binding")?.into_iter().next(),
        order: order.map(|order| order.count()).transpose()?.unwrap_or_default(),
        external: virtual_link.is_none(),
        virtual_link,
    })
}

/// A connection point of the VNF itself, behind which there may be an internal link.
pub(super) fn ext_cp(node: &Place<'_>) -> Result<VnfdCp, Error> {
    Ok(VnfdCp {
        vdu: None,
        order: 0,
        virtual_link: required(node, "internal_virtual_link")?.into_iter().next(),
        external: true,
    })
}

/// An internal virtual link.
pub(super) fn virtual_link(node: &Place<'_>) -> VnfdVirtualLink {
    let properties = node
        .get("properties")
        .and_then(|place| place.value.as_object().cloned());
    VnfdVirtualLink {
        properties: properties.unwrap_or_default(),
    }
}
