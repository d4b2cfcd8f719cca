//! Elements without a life of their own: images, flavours, placement groups, connectivity services.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::table::Table;
use super::{Collection, Naming, State};
use crate::clock::UnixMillis;
use crate::elements::{ConnectivityService, Flavour, Group, Image};
use crate::faults::Armed;
use crate::refusal::Refusal;

/// Name, checksum and size of the images that are always there.
const IMAGES: [(&str, &str, u64); 3] = [
    ("ubuntu18.04", "0b1a2c3d4e5f60718293a4b5c6d7e8f9", 361_103_360),
    ("ubuntu20.04", "1c2b3d4e5f60718293a4b5c6d7e8f90a", 594_542_592),
    ("cirros034", "ee1eca47dc88f4879d8a229cc70a07c6", 13_287_936),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImage {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    checksum: String,
    #[serde(default)]
    size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFlavour {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    vcpus: u32,
    ram: u64,
    #[serde(default)]
    disk: u64,
    #[serde(default)]
    ephemeral: u64,
    #[serde(default)]
    swap: u64,
    #[serde(default)]
    extended: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGroup {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(rename = "type")]
    group_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewService {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(rename = "type")]
    service_type: String,
    endpoints: Vec<Value>,
}

/// The body of a PUT; what is absent stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditService {
    name: Option<String>,
    #[serde(rename = "type")]
    service_type: Option<String>,
    endpoints: Option<Vec<Value>>,
    metadata: Option<Value>,
}

impl State {
    pub(super) fn add_preset_images(&mut self) {
        for (name, checksum, size) in IMAGES {
            let meta = self.preset_meta(crate::call::Kind::Images, name);
            self.images.insert(Image {
                meta,
                checksum: checksum.to_owned(),
                size,
                status: "active".to_owned(),
            });
        }
    }

    pub(crate) fn edit_service(&mut self, id: &str, edit: EditService) -> Result<Arc<ConnectivityService>, Refusal> {
        self.find::<ConnectivityService>(id)?;
        self.update(id, |service: &mut ConnectivityService| {
            if let Some(name) = edit.name {
                service.meta.name = name;
            }
            if let Some(service_type) = edit.service_type {
                service.service_type = service_type;
            }
            if let Some(endpoints) = edit.endpoints {
                service.endpoints = endpoints;
            }
            if let Some(metadata) = edit.metadata {
                service.meta.metadata = metadata;
            }
        })
        .map_or_else(|| self.find::<ConnectivityService>(id).cloned(), Ok)
    }
}

impl Collection for Image {
    type New = NewImage;

    fn create(state: &mut State, new: NewImage, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        let meta = state.meta(
            Naming {
                name: new.name,
                token: new.token,
                metadata: new.metadata,
            },
            now,
        );
        let image = Self {
            meta,
            checksum: new.checksum,
            size: new.size,
            status: "active".to_owned(),
        };
        Ok(state.images.insert(image))
    }

    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        state.remove::<Self>(id).map(drop)
    }

    fn table(state: &State) -> &Table<Self> {
        &state.images
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.images
    }
}

impl Collection for Flavour {
    type New = NewFlavour;

    fn create(state: &mut State, new: NewFlavour, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        if new.vcpus == 0 || new.ram == 0 {
            return Err(Refusal::BadRequest(
                "a flavour needs at least one vcpu and some ram".to_owned(),
            ));
        }
        let meta = state.meta(
            Naming {
                name: new.name,
                token: new.token,
                metadata: new.metadata,
            },
            now,
        );
        let flavour = Self {
            meta,
            vcpus: new.vcpus,
            ram: new.ram,
            disk: new.disk,
            ephemeral: new.ephemeral,
            swap: new.swap,
            extended: new.extended,
        };
        Ok(state.flavours.insert(flavour))
    }

    // Like Nova: servers keep the flavour they were made with, so a used one may go.
    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        state.remove::<Self>(id).map(drop)
    }

    fn table(state: &State) -> &Table<Self> {
        &state.flavours
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.flavours
    }
}

impl Collection for Group {
    type New = NewGroup;

    fn create(state: &mut State, new: NewGroup, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        let meta = state.meta(
            Naming {
                name: new.name,
                token: new.token,
                metadata: new.metadata,
            },
            now,
        );
        Ok(state.groups.insert(Self {
            meta,
            group_type: new.group_type,
        }))
    }

    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        state.remove::<Self>(id).map(drop)
    }

    fn table(state: &State) -> &Table<Self> {
        &state.groups
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.groups
    }
}

impl Collection for ConnectivityService {
    type New = NewService;

    fn create(state: &mut State, new: NewService, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        let meta = state.meta(
            Naming {
                name: new.name,
                token: new.token,
                metadata: new.metadata,
            },
            now,
        );
        let service = Self {
            meta,
            service_type: new.service_type,
            endpoints: new.endpoints,
            status: "ACTIVE".to_owned(),
        };
        Ok(state.services.insert(service))
    }

    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        state.remove::<Self>(id).map(drop)
    }

    fn table(state: &State) -> &Table<Self> {
        &state.services
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.services
    }
}
