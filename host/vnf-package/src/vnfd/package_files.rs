//! What a package has beside its TOSCA documents: Heat templates, scripts, images, artifacts.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use vimhost_model::hex;
use vimhost_model::vnf::{DeploymentFlavour, HeatTemplate, PackageFile, SoftwareImage, UserDataScript, Vnfd};

use super::Error;
use crate::csar::{self, Archive, is_metadata};
use crate::yaml::{self, Left};

/// Most bytes of the templates of one flavour. They are kept with the VNFD in one document of the store, where 16 MB fit.
const MAX_TEMPLATE_BYTES: usize = 2 << 20;

/// Most bytes of the templates of all flavours, as JSON: with what aliases repeat.
pub(super) const MAX_TEMPLATES_BYTES: usize = 8 << 20;

/// The template of a flavour: the one YAML file in `BaseHOT/<flavour>/`, and those in its `nested/`.
/// `left` is what the templates may be beside those of the flavours before.
pub(super) fn base_hot(archive: &Archive, flavour: &str, left: &mut Left) -> Result<Option<HeatTemplate>, Error> {
    let directory = format!("BaseHOT/{flavour}/");
    let mut found: Option<HeatTemplate> = None;
    let mut files = BTreeMap::new();
    let mut bytes = 0_usize;
    for (path, content) in archive.files() {
        let Some(below) = path.strip_prefix(&directory) else {
            continue;
        };
        if !(below.ends_with(".yaml") || below.ends_with(".yml")) {
            continue;
        }
        let nested = below.strip_prefix("nested/");
        if nested.is_none() && below.contains('/') {
            continue;
        }
        let refuse = |reason: String| Error::Unreadable {
            file: path.to_owned(),
            reason,
        };
        bytes = bytes.saturating_add(content.len());
        if bytes > MAX_TEMPLATE_BYTES {
            return Err(refuse(format!(
                "the templates of flavour {flavour} have more than {MAX_TEMPLATE_BYTES} bytes"
            )));
        }
        // Read once here, so that what is no YAML is refused now and not when a stack is to be made of it.
        let template = yaml::read(content).map_err(refuse)?;
        left.take(&template).map_err(refuse)?;
        if !template.is_object() {
            return Err(refuse("it is no map".to_owned()));
        }
        let text = String::from_utf8_lossy(content).into_owned();
        if let Some(nested) = nested {
            let name = nested.rsplit('/').next().unwrap_or(nested);
            if files.insert(name.to_owned(), text).is_some() {
                return Err(refuse(format!("there is another nested file {name}")));
            }
        } else if let Some(first) = &found {
            return Err(refuse(format!(
                "{} is there too: which is the base template?",
                first.path
            )));
        } else {
            found = Some(HeatTemplate {
                path: path.to_owned(),
                template: text,
                files: BTreeMap::new(),
            });
        }
    }
    Ok(found.map(|template| HeatTemplate { files, ..template }))
}

/// Scripts in `UserData/`, recognised by the classes they define or import. What a script does otherwise is unknown, so one that
/// defines anything of its own is too.
pub(super) fn user_data_scripts(archive: &Archive) -> BTreeMap<String, UserDataScript> {
    archive
        .files()
        .filter(|(path, _)| path.ends_with(".py") && path.split('/').any(|part| part == "UserData"))
        .map(|(path, content)| (path.to_owned(), recognise(&String::from_utf8_lossy(content))))
        .collect()
}

fn recognise(script: &str) -> UserDataScript {
    const DEFAULT: &str = "DefaultUserData";
    const STANDARD: &str = "StandardUserData";
    let words = |line: &str| -> BTreeSet<String> {
        line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map(str::to_owned)
            .collect()
    };
    let mut known: BTreeSet<UserDataScriptName> = BTreeSet::new();
    for line in script.lines() {
        if let Some(definition) = line.strip_prefix("class ") {
            let end = definition.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let name = end.and_then(|end| definition.get(..end)).unwrap_or(definition);
            match name {
                DEFAULT => known.insert(UserDataScriptName::Default),
                STANDARD => known.insert(UserDataScriptName::Standard),
                _ => return UserDataScript::Unknown,
            };
        } else if line.starts_with("from ") || line.starts_with("import ") {
            let words = words(line);
            if words.contains(DEFAULT) || words.contains("userdata_default") {
                known.insert(UserDataScriptName::Default);
            }
            if words.contains(STANDARD) || words.contains("userdata_standard") {
                known.insert(UserDataScriptName::Standard);
            }
        }
    }
    let mut known = known.into_iter();
    match (known.next(), known.next()) {
        (Some(UserDataScriptName::Default), None) => UserDataScript::Default,
        (Some(UserDataScriptName::Standard), None) => UserDataScript::Standard,
        _ => UserDataScript::Unknown,
    }
}

/// The stock scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum UserDataScriptName {
    Default,
    Standard,
}

/// Images that a flavour names.
fn images(flavour: &DeploymentFlavour) -> impl Iterator<Item = &SoftwareImage> {
    let of_vdus = flavour.vdus.values().filter_map(|vdu| vdu.image.as_ref());
    let of_storages = flavour.storages.values().filter_map(|storage| storage.image.as_ref());
    of_vdus.chain(of_storages)
}

/// Checks what the VNFD says to be the digests of images. One that is not in the package is not fetched.
pub(super) fn check_images(archive: &Archive, vnfd: &Vnfd) -> Result<(), csar::Error> {
    let mut digests = archive.digests();
    for image in vnfd.flavours.values().flat_map(images) {
        let (Some(path), Some(wanted)) = (&image.path, &image.checksum) else {
            continue;
        };
        if archive.file(path).is_some() {
            digests.check_file("the VNFD", path, image.checksum_algorithm.as_deref(), wanted)?;
        }
    }
    Ok(())
}

/// Images of all flavours, each once.
pub(super) fn software_images(flavours: &BTreeMap<String, DeploymentFlavour>) -> Vec<SoftwareImage> {
    let mut found = BTreeMap::new();
    for image in flavours.values().flat_map(images) {
        found.entry(image.id.clone()).or_insert_with(|| image.clone());
    }
    found.into_values().collect()
}

/// Files that are neither VNFD nor image, with their digests.
pub(super) fn additional_artifacts(
    archive: &Archive,
    documents: &BTreeSet<String>,
    images: &[SoftwareImage],
) -> Vec<PackageFile> {
    let is_image = |path: &str| images.iter().any(|image| image.path.as_deref() == Some(path));
    archive
        .files()
        .filter(|(path, _)| !documents.contains(*path) && !is_metadata(path) && !is_image(path))
        .map(|(path, content)| PackageFile {
            path: path.to_owned(),
            algorithm: "SHA-256".to_owned(),
            hash: hex(&Sha256::digest(content)),
            size: content.len() as u64,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_scripts_are_known_by_their_class_and_others_are_not() {
        let of_class =
            |name: &str| format!("import yaml\n\nclass {name}(userdata_utils.AbstractUserData):\n    pass\n");
        assert_eq!(recognise(&of_class("DefaultUserData")), UserDataScript::Default);
        assert_eq!(recognise(&of_class("StandardUserData")), UserDataScript::Standard);
        assert_eq!(recognise(&of_class("UserData")), UserDataScript::Unknown);
        assert_eq!(recognise(&of_class("DefaultUserDataOfMine")), UserDataScript::Unknown);
        let import = "from tacker.sol_refactored.infra_drivers.openstack.userdata_standard import StandardUserData\n";
        assert_eq!(recognise(import), UserDataScript::Standard);
        let derived = format!("{import}\nclass Mine(StandardUserData):\n    pass\n");
        assert_eq!(recognise(&derived), UserDataScript::Unknown);
        assert_eq!(recognise("print('hello')\n"), UserDataScript::Unknown);
    }
}
