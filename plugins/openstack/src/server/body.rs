//! What Nova is asked for when a server is made, and how such a server is found again.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use vimhost_keystone::Microversion;
use vimhost_sdk::debug;
use vimhost_sdk::prelude::*;

use super::Disk;
use crate::compute::{Server, TOKEN, nova, nova_at};
use crate::neutron::ports;
use crate::settings::Settings;
use crate::user_data;
use crate::vim::Vim;

/// The newest that a creation gains from: volumes of several servers.
const CREATE: Microversion = Microversion::new(2, 60);

/// From here on a request names its networks or says that there are none.
const NETWORKS_NAMED: (u16, u16) = (2, 37);

/// From here on a server gets tags with its creation, by which it can be found.
const TAGS: Microversion = Microversion::new(2, 52);

/// A request's networks take tags from the first to before the second, and again from the third on: Nova lost them meanwhile, and refuses
/// a tag there as it refuses every word that it does not know.
const PORT_TAGS: ((u16, u16), (u16, u16), (u16, u16)) = ((2, 32), (2, 37), (2, 42));

/// What Nova takes of a tag.
const LONGEST_TAG: usize = 60;

/// From here on Nova keeps a description.
const DESCRIPTION: (u16, u16) = (2, 19);

/// What Nova takes of one.
const LONGEST_DESCRIPTION: usize = 255;

/// The user data of a server and whether it wants a configuration drive.
pub(super) fn user_data(request: &ServerRequest) -> Result<Option<String>, Error> {
    match &request.cloud_config {
        Some(cloud) => user_data::encoded(cloud),
        None => Ok(None),
    }
}

/// A server that is about to be asked for.
pub(super) struct Creating<'a> {
    pub(super) request: &'a ServerRequest,
    pub(super) settings: &'a Settings,
    /// In base64.
    pub(super) user_data: Option<String>,
    pub(super) ports: &'a [String],
    pub(super) disks: &'a [Disk],
}

impl Creating<'_> {
    /// Asks for it.
    pub(super) fn ask(&self, vim: &Vim, token: &str) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Made {
            server: Server,
        }
        let nova = nova_at(vim, CREATE)?;
        let body = self.body(token, |(major, minor)| nova.supports(major, minor))?;
        let request = nova
            .post(["servers"])
            .json(&body)
            .doing(format!("creating server {}", self.request.name));
        let made: Made = nova.read(request)?;
        match made.server.id() {
            "" => Err(Error::other("Nova answered a new server without an id").into()),
            id => Ok(id.to_owned()),
        }
    }

    fn body(&self, token: &str, supports: impl Fn((u16, u16)) -> bool) -> Result<Value, Error> {
        let request = self.request;
        let mut server = Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                server.insert(key.to_owned(), value);
            }
        };
        put("name", json!(request.name));
        put("flavorRef", json!(request.flavour));
        put("metadata", json!({ TOKEN: token }));
        if supports((TAGS.major, TAGS.minor)) {
            put("tags", json!([token]));
        }
        if supports(DESCRIPTION)
            && let Some(description) = &request.description
        {
            put(
                "description",
                json!(crate::flavours::cut(description, LONGEST_DESCRIPTION)),
            );
        }
        let (first, lost, again) = PORT_TAGS;
        let tagged = supports(again) || (supports(first) && !supports(lost));
        // Nova's driver of VMware gives up a server that has a tag.
        let tagged = tagged && !self.settings.vio;
        put("networks", self.networks(supports(NETWORKS_NAMED), tagged));
        put(
            "availability_zone",
            json!(self.settings.zone(request.availability_zone.as_deref())),
        );
        put("key_name", json!(self.settings.keypair));
        put("user_data", json!(self.user_data));
        let drive = request.cloud_config.as_ref().and_then(|cloud| cloud.boot_data_drive);
        put("config_drive", json!(drive));
        let boots_from_volume = self.disks.iter().any(|disk| disk.root);
        if !boots_from_volume {
            let image = request.image.as_ref().ok_or_else(|| {
                Error::bad_request(format!(
                    "server {} has neither an image nor a volume to boot from",
                    request.name
                ))
            })?;
            put("imageRef", json!(image));
        }
        put("block_device_mapping_v2", self.devices(boots_from_volume));
        let mut body = Map::from_iter([("server".to_owned(), Value::Object(server))]);
        if let Some(group) = request.groups.first() {
            if request.groups.len() > 1 {
                debug!(
                    "Nova knows one group of a server; the first one counts",
                    server = request.name
                );
            }
            body.insert("os:scheduler_hints".to_owned(), json!({ "group": group }));
        }
        Ok(Value::Object(body))
    }

    fn networks(&self, named: bool, tagged: bool) -> Value {
        if self.ports.is_empty() {
            // Otherwise Nova would give the server a network of its own choice.
            return if named { json!("none") } else { json!([]) };
        }
        let entry = |(index, port): (usize, &String)| match self.tag(index).filter(|_| tagged) {
            Some(tag) => json!({ "port": port, "tag": tag }),
            None => json!({ "port": port }),
        };
        self.ports.iter().enumerate().map(entry).collect()
    }

    /// What the guest finds an interface by: its port's name, where Nova takes that for a tag.
    fn tag(&self, index: usize) -> Option<&str> {
        let interface = self.request.interfaces.get(index)?;
        let name = ports::name_of(interface, &self.request.name);
        let fits = !name.is_empty() && name.chars().count() <= LONGEST_TAG && !name.contains([',', '/']);
        fits.then_some(name)
    }

    /// Volumes in order; the image first where the server boots from one, since Nova then counts it among the devices.
    fn devices(&self, boots_from_volume: bool) -> Value {
        if self.disks.is_empty() {
            return Value::Null;
        }
        let image = (!boots_from_volume).then(|| {
            json!({
                "uuid": self.request.image,
                "source_type": "image",
                "destination_type": "local",
                "boot_index": 0,
                "delete_on_termination": true,
            })
        });
        let volumes = self.disks.iter().map(|disk| {
            json!({
                "uuid": disk.id,
                "source_type": "volume",
                "destination_type": "volume",
                "boot_index": if disk.root { 0 } else { -1 },
                // Who deletes it is known to the journal.
                "delete_on_termination": false,
            })
        });
        image.into_iter().chain(volumes).collect()
    }
}

/// Servers that carry a token, oldest first. Nova looks for them: by tag, or where it knows no tags by name, if that is known.
pub(super) fn with_token(vim: &Vim, name: Option<&str>, token: &str) -> Result<Vec<String>, Failure> {
    let tagged = nova_at(vim, TAGS)?;
    let found = if tagged.supports(TAGS.major, TAGS.minor) {
        let request = tagged
            .get(["servers", "detail"])
            .query("tags", token)
            .doing(format!("looking for server {token}"));
        tagged.list(&request, "servers")?
    } else {
        let nova = nova(vim)?;
        let request = nova
            .get(["servers", "detail"])
            .query_opt("name", name.map(exactly))
            .doing(format!("looking for server {token}"));
        nova.list(&request, "servers")?
    };
    let mut ours: Vec<Server> = found
        .into_iter()
        .filter_map(|server| match server {
            Value::Object(server) => Some(Server(server)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        })
        .filter(|server| server.token() == Some(token))
        .collect();
    ours.sort_by(|one, other| one.text("created").cmp(&other.text("created")));
    Ok(ours.iter().map(|server| server.id().to_owned()).collect())
}

/// The expression that this name alone matches: Nova's filter by name is one.
fn exactly(name: &str) -> String {
    let mut expression = String::from("^");
    for character in name.chars() {
        if !character.is_alphanumeric() && !matches!(character, ' ' | '-' | '_') {
            expression.push('\\');
        }
        expression.push(character);
    }
    expression.push('$');
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &str) -> Settings {
        Settings::of(&Account {
            config: config.into(),
            ..Account::default()
        })
        .unwrap()
    }

    fn body(request: &ServerRequest, disks: &[Disk], newest: (u16, u16)) -> Value {
        let creating = Creating {
            request,
            settings: &settings(r#"{"availability_zone": ["z1", "z2"], "keypair": "k"}"#),
            user_data: None,
            ports: &["p".to_owned()],
            disks,
        };
        creating.body("tk-1", |needed| needed <= newest).unwrap()
    }

    #[test]
    fn a_server_from_an_image_with_data_volumes_names_its_image_as_a_device() {
        let request = ServerRequest {
            name: "vm".into(),
            image: Some("i".into()),
            flavour: "f".into(),
            groups: vec!["g".into(), "h".into()],
            start: true,
            ..ServerRequest::default()
        };
        let disks = [Disk {
            id: "v".into(),
            root: false,
        }];
        assert_eq!(
            body(&request, &disks, (2, 60)),
            json!({
                "server": {
                    "name": "vm", "flavorRef": "f", "imageRef": "i", "metadata": {"vimhost-token": "tk-1"},
                    "tags": ["tk-1"], "networks": [{"port": "p"}], "availability_zone": "z1", "key_name": "k",
                    "block_device_mapping_v2": [
                        {"uuid": "i", "source_type": "image", "destination_type": "local", "boot_index": 0,
                         "delete_on_termination": true},
                        {"uuid": "v", "source_type": "volume", "destination_type": "volume", "boot_index": -1,
                         "delete_on_termination": false},
                    ],
                },
                "os:scheduler_hints": {"group": "g"},
            })
        );
    }

    #[test]
    fn a_server_from_a_volume_names_no_image() {
        let request = ServerRequest {
            name: "vm".into(),
            image: Some("i".into()),
            flavour: "f".into(),
            description: Some("d".into()),
            ..ServerRequest::default()
        };
        let disks = [Disk {
            id: "v".into(),
            root: true,
        }];
        let body = body(&request, &disks, (2, 1));
        assert_eq!(body["server"].get("imageRef"), None);
        assert_eq!(body["server"].get("tags"), None);
        assert_eq!(body["server"].get("description"), None);
        assert_eq!(body["server"]["block_device_mapping_v2"][0]["boot_index"], 0);
    }

    #[test]
    fn a_server_with_nothing_to_boot_from_is_refused() {
        let request = ServerRequest::default();
        let creating = Creating {
            request: &request,
            settings: &settings("{}"),
            user_data: None,
            ports: &[],
            disks: &[],
        };
        assert_eq!(creating.body("t", |_| true).unwrap_err().kind, ErrorKind::BadRequest);
        assert_eq!(creating.networks(true, true), json!("none"));
    }

    fn with_port(name: Option<&str>) -> ServerRequest {
        ServerRequest {
            name: "vm".into(),
            image: Some("i".into()),
            interfaces: vec![ServerInterface {
                name: name.map(str::to_owned),
                ..ServerInterface::default()
            }],
            ..ServerRequest::default()
        }
    }

    #[test]
    fn a_port_is_tagged_with_its_name_where_the_microversion_takes_tags_of_networks() {
        let request = with_port(Some("eth0"));
        for minor in [1, 31, 37, 41] {
            let body = body(&request, &[], (2, minor));
            assert_eq!(body["server"]["networks"], json!([{"port": "p"}]), "2.{minor}");
        }
        for minor in [32, 36, 42, 60] {
            let body = body(&request, &[], (2, minor));
            let expected = json!([{"port": "p", "tag": "eth0"}]);
            assert_eq!(body["server"]["networks"], expected, "2.{minor}");
        }
    }

    #[test]
    fn a_name_that_nova_does_not_take_for_a_tag_is_none() {
        let tag = |name: Option<&str>| {
            let body = body(&with_port(name), &[], (2, 60));
            body["server"]["networks"][0].get("tag").cloned()
        };
        // As the port itself is named.
        assert_eq!(tag(None), Some(json!("vm")));
        let (longest, longer) = ("ü".repeat(60), "x".repeat(61));
        assert_eq!(tag(Some(&longest)), Some(json!(longest)));
        for name in ["", "a/b", "a,b", &longer] {
            assert_eq!(tag(Some(name)), None, "{name:?}");
        }
    }

    #[test]
    fn a_driver_that_knows_no_tags_hears_of_none() {
        let creating = Creating {
            request: &with_port(Some("eth0")),
            settings: &settings(r#"{"vim_type": "VIO"}"#),
            user_data: None,
            ports: &["p".to_owned()],
            disks: &[],
        };
        let body = creating.body("t", |_| true).unwrap();
        assert_eq!(body["server"]["networks"], json!([{"port": "p"}]));
    }

    #[test]
    fn a_name_is_matched_to_the_letter() {
        assert_eq!(exactly("vnf-1.vm_0 (a)"), "^vnf-1\\.vm_0 \\(a\\)$");
    }
}
