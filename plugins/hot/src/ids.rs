//! Ids that follow from what they name, so that the same requests give the same ids.

use sha2::{Digest, Sha256};

/// How many bytes an id has, as a UUID does.
const ID_BYTES: usize = 16;

/// Heat's short names of group members and nested stacks.
const SHORT_LETTERS: usize = 12;

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// An id for a stack, from a text that names it once, such as the token it was made with.
#[must_use]
pub fn stack_id(name: &str) -> String {
    uuid(&["stack", name])
}

/// The id of a resource: `serial` tells a replaced one from the one before.
pub(crate) fn resource_id(stack: &str, path: &str, serial: u64) -> String {
    uuid(&[stack, path, &serial.to_string()])
}

/// Twelve letters and digits.
pub(crate) fn short(stack: &str, path: &str, serial: u64) -> String {
    digest(&["short", stack, path, &serial.to_string()])
        .iter()
        .take(SHORT_LETTERS)
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect()
}

fn digest(parts: &[&str]) -> Vec<u8> {
    // A byte that is in no part keeps ("a", "bc") from ("ab", "c").
    Sha256::digest(parts.join("\0").as_bytes()).to_vec()
}

/// Looks like a UUID, of version 5: made from a name.
fn uuid(parts: &[&str]) -> String {
    let mut text = String::new();
    for (place, byte) in digest(parts).into_iter().take(ID_BYTES).enumerate() {
        let byte = match place {
            6 => (byte & 0x0f) | 0x50,
            8 => (byte & 0x3f) | 0x80,
            _ => byte,
        };
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
