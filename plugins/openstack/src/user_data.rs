//! User data: what cloud-init finds at a server's first boot.
//!
//! One part is sent as it is; several become a MIME message of type `multipart/mixed`, each part with the type that cloud-init
//! knows it by. The same request makes the same text, so that a repetition asks for the same server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use vimhost_sdk::prelude::{CloudConfig, Error};

/// What Nova takes, in characters of base64.
const LONGEST: usize = 65_535;

/// Characters of a line of base64 in a MIME message (RFC 2045 6.8).
const LINE: usize = 76;

/// Beginnings and the types they stand for; a longer beginning before those that it begins with.
const TYPES: [(&str, &str); 8] = [
    ("#include-once", "text/x-include-once-url"),
    ("#include", "text/x-include-url"),
    ("#!", "text/x-shellscript"),
    ("#cloud-config-archive", "text/cloud-config-archive"),
    ("#cloud-config", "text/cloud-config"),
    ("#upstart-job", "text/upstart-job"),
    ("#part-handler", "text/part-handler"),
    ("#cloud-boothook", "text/cloud-boothook"),
];

/// User data in base64, as Nova takes it; none without parts.
///
/// # Errors
///
/// It is longer than Nova takes.
pub(crate) fn encoded(cloud: &CloudConfig) -> Result<Option<String>, Error> {
    let mut parts: Vec<String> = cloud
        .user_data
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect();
    parts.extend(generated(cloud));
    let text = match parts.as_slice() {
        [] => return Ok(None),
        [one] => one.clone(),
        several => multipart(several),
    };
    let encoded = STANDARD.encode(text);
    if encoded.len() > LONGEST {
        return Err(Error::bad_request(format!(
            "the server's user data has {} characters in base64, and Nova takes {LONGEST}",
            encoded.len()
        )));
    }
    Ok(Some(encoded))
}

/// Keys, users and files as a `#cloud-config`, written as JSON, of which YAML is a superset.
fn generated(cloud: &CloudConfig) -> Option<String> {
    let mut config = Map::new();
    if !cloud.key_pairs.is_empty() {
        config.insert("ssh_authorized_keys".to_owned(), json!(cloud.key_pairs));
    }
    if !cloud.users.is_empty() {
        // Without `default` the image's own user would not be made.
        let mut users = vec![json!("default")];
        users.extend(cloud.users.iter().map(|user| {
            let mut entry = json!({
                "name": user.name,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": user.key_pairs,
            });
            put(&mut entry, "gecos", user.info.as_deref());
            entry
        }));
        config.insert("users".to_owned(), Value::Array(users));
    }
    if !cloud.config_files.is_empty() {
        let files = cloud.config_files.iter().map(|file| {
            let mut entry = json!({"path": file.dest, "content": file.content});
            put(&mut entry, "encoding", file.encoding.as_deref());
            put(&mut entry, "permissions", file.permissions.as_deref());
            put(&mut entry, "owner", file.owner.as_deref());
            entry
        });
        config.insert("write_files".to_owned(), files.collect());
    }
    (!config.is_empty()).then(|| format!("#cloud-config\n{}\n", Value::Object(config)))
}

fn put(entry: &mut Value, key: &str, value: Option<&str>) {
    if let (Some(entry), Some(value)) = (entry.as_object_mut(), value) {
        entry.insert(key.to_owned(), value.into());
    }
}

fn multipart(parts: &[String]) -> String {
    // Nothing random, and in none of the parts.
    let mut boundary = "===============vimhost==".to_owned();
    while parts.iter().any(|part| part.contains(&boundary)) {
        boundary.push('=');
    }
    let mut text = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n");
    for part in parts {
        let kind = content_type(part);
        // Python's parser, which cloud-init uses, garbles bare text that is not ASCII.
        let (encoding, body) = if part.is_ascii() {
            ("7bit", part.clone())
        } else {
            ("base64", lines(&STANDARD.encode(part)))
        };
        text.push_str(&format!(
            "\n--{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\nMIME-Version: 1.0\n\
             Content-Transfer-Encoding: {encoding}\n\n{body}"
        ));
    }
    text.push_str(&format!("\n--{boundary}--\n"));
    text
}

fn content_type(part: &str) -> &'static str {
    let found = TYPES.iter().find(|(beginning, _)| part.starts_with(*beginning));
    found.map_or("text/x-shellscript", |(_, kind)| *kind)
}

fn lines(encoded: &str) -> String {
    let mut text = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use vimhost_sdk::infrastructure::{CloudFile, CloudUser};

    use super::*;

    fn decoded(cloud: &CloudConfig) -> String {
        let encoded = encoded(cloud).unwrap().unwrap();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_no_user_data() {
        assert_eq!(encoded(&CloudConfig::default()).unwrap(), None);
    }

    #[test]
    fn one_part_is_sent_as_it_is() {
        let cloud = CloudConfig {
            user_data: vec!["#!/bin/sh\necho ü\n".into()],
            ..CloudConfig::default()
        };
        assert_eq!(decoded(&cloud), "#!/bin/sh\necho ü\n");
    }

    #[test]
    fn keys_users_and_files_become_a_cloud_config() {
        let cloud = CloudConfig {
            key_pairs: vec!["ssh-ed25519 A".into()],
            users: vec![CloudUser {
                name: "osm".into(),
                key_pairs: vec!["ssh-ed25519 B".into()],
                info: None,
            }],
            config_files: vec![CloudFile {
                dest: "/etc/a".into(),
                content: "eA==".into(),
                encoding: Some("base64".into()),
                permissions: Some("0600".into()),
                owner: None,
            }],
            ..CloudConfig::default()
        };
        let text = decoded(&cloud);
        let config: Value = serde_json::from_str(text.strip_prefix("#cloud-config\n").unwrap()).unwrap();
        assert_eq!(
            config,
            json!({
                "ssh_authorized_keys": ["ssh-ed25519 A"],
                "users": ["default", {"name": "osm", "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": ["ssh-ed25519 B"]}],
                "write_files": [{"path": "/etc/a", "content": "eA==", "encoding": "base64", "permissions": "0600"}],
            })
        );
    }

    #[test]
    fn several_parts_become_a_message_with_the_right_types() {
        let cloud = CloudConfig {
            user_data: vec![
                "#!/bin/sh\ntrue".into(),
                "#cloud-config-archive\n[]".into(),
                "#include-once\nhttp://x".into(),
                "ein Wörtchen".into(),
            ],
            key_pairs: vec!["k".into()],
            ..CloudConfig::default()
        };
        let text = decoded(&cloud);
        let types: Vec<&str> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.strip_prefix("Content-Type: "))
            .collect();
        let charset = "; charset=\"utf-8\"";
        assert_eq!(
            types,
            [
                "text/x-shellscript",
                "text/cloud-config-archive",
                "text/x-include-once-url",
                "text/x-shellscript",
                "text/cloud-config",
            ]
            .map(|kind| format!("{kind}{charset}"))
        );
        assert!(text.starts_with("Content-Type: multipart/mixed; boundary=\"===============vimhost==\"\n"));
        assert!(text.ends_with("\n--===============vimhost==--\n"));
        assert!(text.contains(&STANDARD.encode("ein Wörtchen")), "{text}");
        assert!(text.is_ascii());
    }

    #[test]
    fn a_boundary_is_in_none_of_the_parts() {
        let parts = ["a\n--===============vimhost==\n".to_owned(), "b".to_owned()];
        assert!(multipart(&parts).starts_with("Content-Type: multipart/mixed; boundary=\"===============vimhost===\""));
    }

    #[test]
    fn what_nova_would_refuse_is_refused_before() {
        let cloud = CloudConfig {
            user_data: vec!["x".repeat(50_000)],
            ..CloudConfig::default()
        };
        assert!(encoded(&cloud).unwrap_err().message.contains("65535"));
    }
}
