//! Finding secrets in what a VIM answers.
//!
//! An answer that holds a secret of its account is refused: a VIM that echoes a request would otherwise hand the guest what its
//! handle stands for. Secrets are looked for as they are and in the forms servers write them in (JSON with several styles of
//! escaping, form encoding, basic authentication), also where they lie across two pieces of a body.
//!
//! Short and common words are not looked for: a password `admin` stands in every answer about a user `admin`, and refusing those
//! would protect nothing that could not be guessed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Below this a secret is never looked for.
const SHORTEST: usize = 6;
/// From here on any secret is looked for; between the two only one that mixes letters with something else.
const LONG: usize = 12;

/// The forms of an account's secrets.
#[derive(Default)]
pub(crate) struct Needles {
    list: Vec<Zeroizing<Vec<u8>>>,
    /// The first two bytes of every needle: one look per byte of an answer rules nearly all places out.
    starts: Vec<u64>,
}

/// Whether a secret is looked for in answers.
pub(crate) fn is_searchable(secret: &str) -> bool {
    let letters = secret.bytes().filter(u8::is_ascii_alphabetic).count();
    secret.len() >= LONG || (secret.len() >= SHORTEST && letters > 0 && letters < secret.len())
}

impl Needles {
    /// Adds every form of a secret.
    pub(crate) fn add(&mut self, secret: &str) {
        if !is_searchable(secret) {
            return;
        }
        let json = json_escaped(secret);
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for needle in [
            secret.to_owned(),
            json.replace('/', "\\/"),
            ascii_json(&json),
            json,
            form,
            STANDARD.encode(secret),
        ] {
            self.add_form(needle.into_bytes());
        }
    }

    /// Adds one more form of a secret.
    pub(crate) fn add_form(&mut self, needle: Vec<u8>) {
        let needle = Zeroizing::new(needle);
        if needle.len() < SHORTEST || self.list.contains(&needle) {
            return;
        }
        self.starts.resize(1 << 10, 0);
        if let [first, second, ..] = needle.as_slice()
            && let Some(word) = self
                .starts
                .get_mut(usize::from(*first) << 2 | usize::from(*second >> 6))
        {
            *word |= 1 << (second & 63);
        }
        self.list.push(needle);
    }

    /// Whether a secret stands in the bytes.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> bool {
        if self.list.is_empty() {
            return false;
        }
        bytes.windows(2).enumerate().any(|(at, pair)| {
            self.may_start(pair)
                && bytes
                    .get(at..)
                    .is_some_and(|rest| self.list.iter().any(|needle| rest.starts_with(needle)))
        })
    }

    /// How many bytes at the end could be the beginning of a secret.
    pub(crate) fn open_end(&self, bytes: &[u8]) -> usize {
        let longest = |needle: &Zeroizing<Vec<u8>>| {
            (1..needle.len().min(bytes.len() + 1))
                .rev()
                .find(|length| needle.get(..*length).is_some_and(|start| bytes.ends_with(start)))
        };
        self.list.iter().filter_map(longest).max().unwrap_or(0)
    }

    fn may_start(&self, pair: &[u8]) -> bool {
        let [first, second] = pair else { return false };
        self.starts
            .get(usize::from(*first) << 2 | usize::from(*second >> 6))
            .is_some_and(|word| word & (1 << (second & 63)) != 0)
    }
}

fn json_escaped(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|q| q.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned()
}

/// As Python writes it: everything beyond ASCII escaped.
fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles(secret: &str) -> Needles {
        let mut needles = Needles::default();
        needles.add(secret);
        needles
    }

    #[test]
    fn a_secret_is_found_in_the_forms_servers_write() {
        let needles = needles("pä\"ss/w0rd");
        for text in [
            "x pä\"ss/w0rd y",
            r#"{"p":"pä\"ss/w0rd"}"#,
            r#"{"p":"pä\"ss\/w0rd"}"#,
            r#"{"p":"p\u00e4\"ss/w0rd"}"#,
            "p=p%C3%A4%22ss%2Fw0rd",
        ] {
            assert!(needles.found_in(text.as_bytes()), "{text}");
        }
        assert!(!needles.found_in(b"nothing here"));
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_is_held_back() {
        let needles = needles("hunter2-hunter3");
        assert_eq!(needles.open_end(b"...hunter2-hu"), 10);
        assert_eq!(needles.open_end(b"...x"), 0);
        assert_eq!(needles.open_end(b"h"), 1);
    }

    #[test]
    fn common_words_are_not_looked_for() {
        for word in ["admin", "password", "123456", "openstack"] {
            assert!(!is_searchable(word), "{word}");
        }
        for secret in ["hunter2", "s3cret", "correcthorsebattery"] {
            assert!(is_searchable(secret), "{secret}");
        }
    }
}
