//! A deploy body with `action` (`deploy_action_schema` of NG-RO's `validation.py`): no wanted state but a command, of which NG-RO knows
//! one.
//!
//! The rest of the body has the shape of any deploy; of it `action_id` and the ids in `vnf` are used. `key` and `user` are demanded here,
//! where NG-RO's schema does without and its task then fails. A key has to be one line that a server can read as a key: it
//! becomes part of a file that decides who may log in.

use serde_json::{Map, Value, json};
use vimhost_model::{ItemId, RecordId, Secret};

use super::{Operation, OperationRequest};
use crate::Error;
use crate::wanted::{DeployRequest, digest_of, short_text};

/// The word of the one command.
const INJECT_SSH_KEY: &str = "inject_ssh_key";

/// A key line that servers read: OpenSSH takes 8 KiB in its older releases. An RSA key of 16384 bits has less than 3.
const LONGEST_KEY: usize = 8192;

/// A public key that is to be let into VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInjection {
    /// The key, one line.
    pub key: String,
    /// Whom it is for, and who logs in to add it.
    pub user: String,
    /// Lets in where the service's own key does not.
    pub password: Option<Secret>,
    /// The VDUs, each with its VNF.
    pub vdus: Vec<(RecordId, ItemId)>,
}

impl OperationRequest {
    /// Parses a deploy body that has an `action`.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the field.
    pub fn parse_action(body: Value) -> Result<Self, Error> {
        let digest = digest_without_password(&body);
        let Value::Object(mut body) = body else {
            return Err(Error::shape("", "a deploy request is a map"));
        };
        let Some(Value::Object(action)) = body.remove("action") else {
            return Err(Error::shape("action", "is not a map"));
        };
        let rest = DeployRequest::parse(Value::Object(body))?;
        let vnfs = rest.wanted.vnfs.into_iter();
        let vdus: Vec<_> = vnfs
            .flat_map(|vnf| vnf.vdur.into_iter().map(move |vdu| (vnf.id.clone(), vdu.id)))
            .collect();
        // NG-RO makes an action without tasks of it, which reads as success.
        if vdus.is_empty() {
            return Err(Error::shape("vnf", "names no VDU"));
        }
        let injection = parse(&action, vdus)?;
        Ok(Self {
            action_id: rest.action_id,
            digest,
            operation: Operation::InjectKey(injection),
        })
    }
}

/// The digest is stored in clear, and a password may be short enough to be guessed by it. So of the password it tells only whether
/// there is one.
fn digest_without_password(body: &Value) -> String {
    let mut body = body.clone();
    let password = body.get_mut("action").and_then(|action| action.get_mut("password"));
    if let Some(password) = password.filter(|password| !password.is_null()) {
        *password = Value::Bool(true);
    }
    digest_of(&json!([INJECT_SSH_KEY, body]))
}

fn parse(action: &Map<String, Value>, vdus: Vec<(RecordId, ItemId)>) -> Result<KeyInjection, Error> {
    let known = ["action", "key", "user", "password"];
    if let Some(other) = action.keys().find(|key| !known.contains(&key.as_str())) {
        let reason = format!("Additional properties are not allowed ('{other}' was unexpected)");
        return Err(Error::shape("action", reason));
    }
    let required = |key: &str| {
        let value = action.get(key);
        value.ok_or_else(|| Error::shape("action", format!("'{key}' is a required property")))
    };
    if required("action")?.as_str() != Some(INJECT_SSH_KEY) {
        return Err(Error::shape(
            "action:action",
            format!("is not one of ['{INJECT_SSH_KEY}']"),
        ));
    }
    let key = required("key")?.as_str().and_then(key_line);
    let password = match action.get("password") {
        None | Some(Value::Null) => None,
        Some(value) => Some(Secret::new(short_text("action:password", value)?)),
    };
    Ok(KeyInjection {
        key: key.ok_or_else(|| Error::shape("action:key", "is not a public key in OpenSSH's form, in one line"))?,
        user: short_text("action:user", required("user")?)?,
        password,
        vdus,
    })
}

/// `<type> <base64> [comment]`, white space around it taken off: LCM reads keys from files, with their line end.
fn key_line(text: &str) -> Option<String> {
    let line = text.trim();
    if line.len() > LONGEST_KEY || line.chars().any(char::is_control) {
        return None;
    }
    let mut words = line.split(' ');
    let (kind, data) = (words.next()?, words.next()?);
    let of_kind = |byte: u8| byte.is_ascii_alphanumeric() || b"-.@".contains(&byte);
    let of_data = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    let bare = data.trim_end_matches('=');
    let is_key = !kind.is_empty() && kind.bytes().all(of_kind) && !bare.is_empty() && bare.bytes().all(of_data);
    is_key.then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VNF: &str = "1b6a4eb3-4fbf-415e-985c-4aeb3161eec0";
    const KEY: &str = "ssh-rsa AAAAB3NzaC1yc2E= lcm@osm";

    /// LCM's body.
    fn body() -> Value {
        json!({"action": {"action": "inject_ssh_key", "key": KEY, "user": "ubuntu"},
               "vnf": [{"_id": VNF, "vdur": [{"id": "vdu-1"}]}]})
    }

    fn with(key: &str, value: Value) -> Value {
        let mut body = body();
        body["action"][key] = value;
        body
    }

    fn injection(body: Value) -> KeyInjection {
        let operation = OperationRequest::parse_action(body).unwrap().operation;
        let Operation::InjectKey(injection) = operation else {
            panic!("{operation:?}")
        };
        injection
    }

    fn refused(body: Value) -> (String, String) {
        match OperationRequest::parse_action(body) {
            Err(Error::Shape { path, reason }) => (path, reason),
            other => panic!("not refused for its shape: {other:?}"),
        }
    }

    #[test]
    fn the_body_of_lcm_is_understood() {
        let expected = KeyInjection {
            key: KEY.to_owned(),
            user: "ubuntu".to_owned(),
            password: None,
            vdus: vec![(VNF.parse().unwrap(), "vdu-1".parse().unwrap())],
        };
        assert_eq!(injection(body()), expected);
        assert_eq!(injection(with("password", Value::Null)), expected);
        assert_eq!(injection(with("key", json!(format!("{KEY}\n")))), expected);
        let mut more = with("password", json!("p"));
        more["action_id"] = json!("op");
        more["name"] = json!("ns");
        more["ns"] = json!({"vld": []});
        let request = OperationRequest::parse_action(more).unwrap();
        assert_eq!(request.action_id.unwrap().as_str(), "op");
        assert_eq!(request.operation.kind(), vimhost_model::ActionKind::InjectSshKey);
        assert!(!format!("{:?}", request.operation).contains("\"p\""));
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (body, path, reason) in [
            (json!([]), "", "is a map"),
            (json!({"action": "inject_ssh_key"}), "action", "is not a map"),
            (with("more", json!(1)), "action", "'more' was unexpected"),
            (with("action", json!("reboot")), "action:action", "inject_ssh_key"),
            (with("user", json!("")), "action:user", "1 to 255"),
            (with("password", json!("")), "action:password", "1 to 255"),
            (with("password", json!("x".repeat(256))), "action:password", "1 to 255"),
            (with("key", json!("")), "action:key", "OpenSSH"),
            (with("key", json!(["k"])), "action:key", "OpenSSH"),
            (with("key", json!("AAAA")), "action:key", "OpenSSH"),
            (with("key", json!("ssh-rsa not*base64")), "action:key", "OpenSSH"),
            (with("key", json!(format!("{KEY}\n{KEY}"))), "action:key", "one line"),
            (
                with("key", json!(format!("ssh-rsa AAAA {}", "x".repeat(9000)))),
                "action:key",
                "OpenSSH",
            ),
        ] {
            let (at, why) = refused(body.clone());
            assert_eq!(at, path, "{body}");
            assert!(why.contains(reason), "{why}");
        }
        for key in ["action", "key", "user"] {
            let mut body = body();
            body["action"].as_object_mut().unwrap().remove(key);
            assert_eq!(
                refused(body),
                ("action".to_owned(), format!("'{key}' is a required property"))
            );
        }
        let vnf = |vnf: Value| {
            let mut body = body();
            body["vnf"] = vnf;
            refused(body).0
        };
        assert_eq!(vnf(json!([])), "vnf");
        assert_eq!(vnf(json!([{"_id": VNF}])), "vnf");
        assert_eq!(vnf(json!([{"_id": "x"}])), "vnf:0:_id");
        let mut more = body();
        more["nonsense"] = json!(1);
        assert_eq!(refused(more).0, "");
    }

    #[test]
    fn the_digest_tells_that_there_is_a_password_and_not_which() {
        let digest = |body| OperationRequest::parse_action(body).unwrap().digest;
        assert_eq!(
            digest(with("password", json!("a"))),
            digest(with("password", json!("b")))
        );
        assert_ne!(digest(with("password", json!("a"))), digest(body()));
        assert_ne!(digest(with("user", json!("other"))), digest(body()));
    }
}
