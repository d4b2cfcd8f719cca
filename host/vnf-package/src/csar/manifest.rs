//! Manifests (`*.mf`, `TOSCA.meta`): blocks of `Key: value` lines, and the digests in them.
//!
//! A manifest is written by whoever made the package. What reading it costs is bounded by what is in the package and not by what the
//! manifest says: a file has at most one digest of each algorithm made, however often one is named.

use std::collections::BTreeMap;

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{Error, MAX_ENTRIES};
use vimhost_model::hex;

/// Largest manifest. A block has some two hundred bytes, a signature at the end some thousand.
const MAX_BYTES: usize = 1 << 20;

/// Most blocks of one manifest: that of the package, and for each file one with its digest and perhaps others.
const MAX_BLOCKS: usize = 4 * MAX_ENTRIES;

/// Keys, in lower case, with values.
pub(super) type Block = BTreeMap<String, String>;

/// The blocks of a manifest: `Key: value` lines; a block ends where an empty line or the next `Source` or `Name` is.
pub(super) fn blocks(path: &str, content: &[u8]) -> Result<Vec<Block>, Error> {
    let too_long = || Error::Manifest(path.to_owned());
    if content.len() > MAX_BYTES {
        return Err(too_long());
    }
    let mut blocks = Vec::new();
    let mut block = Block::new();
    for line in String::from_utf8_lossy(content).lines() {
        let line = line.trim();
        let entry = line.split_once(':');
        let key = entry.map(|(key, _)| key.trim().to_ascii_lowercase());
        let begins = key.as_deref().is_none_or(|key| matches!(key, "source" | "name"));
        if begins && !block.is_empty() {
            blocks.push(std::mem::take(&mut block));
            if blocks.len() > MAX_BLOCKS {
                return Err(too_long());
            }
        }
        if let (Some(key), Some((_, value))) = (key, entry) {
            block.insert(key, value.trim().to_owned());
        }
    }
    if !block.is_empty() {
        blocks.push(block);
    }
    Ok(blocks)
}

/// What is checked of one package.
pub(crate) struct Digests<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    /// Digests that were made, by file and algorithm.
    made: BTreeMap<(&'a str, Algorithm), String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// By its name, however that is written.
    fn of(name: &str) -> Option<Self> {
        let name: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        match name.as_str() {
            "sha224" => Some(Self::Sha224),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, content: &[u8]) -> String {
        match self {
            Self::Sha224 => hex(&Sha224::digest(content)),
            Self::Sha256 => hex(&Sha256::digest(content)),
            Self::Sha384 => hex(&Sha384::digest(content)),
            Self::Sha512 => hex(&Sha512::digest(content)),
        }
    }
}

impl<'a> Digests<'a> {
    pub(super) fn of(files: &'a BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            files,
            made: BTreeMap::new(),
        }
    }

    /// Checks all digests of a manifest.
    pub(super) fn check(&mut self, said_in: &str, content: &[u8]) -> Result<(), Error> {
        for block in blocks(said_in, content)? {
            let Some(path) = block.get("source").or_else(|| block.get("name")) else {
                continue;
            };
            let Some(wanted) = block.get("hash") else { continue };
            // What is elsewhere is not fetched, so nobody can mistake it for something checked.
            if path.contains("://") {
                continue;
            }
            let named = block.get("algorithm").map(String::as_str);
            self.check_file(said_in, path, named, wanted)?;
        }
        Ok(())
    }

    /// Checks what something says to be the digest of a file.
    pub(crate) fn check_file(
        &mut self,
        said_in: &str,
        path: &str,
        named: Option<&str>,
        wanted: &str,
    ) -> Result<(), Error> {
        let unchecked = |reason: &str| Error::Unchecked {
            path: path.to_owned(),
            said_in: said_in.to_owned(),
            reason: reason.to_owned(),
        };
        let named = named.ok_or_else(|| unchecked("it names no algorithm"))?;
        let (file, content) = self
            .files
            .get_key_value(path)
            .ok_or_else(|| unchecked("there is no such file in the package"))?;
        let algorithm =
            Algorithm::of(named).ok_or_else(|| unchecked("its algorithm is not SHA-224, 256, 384 or 512"))?;
        let made = self.made.entry((file.as_str(), algorithm));
        let found = made.or_insert_with(|| algorithm.digest(content));
        if !found.eq_ignore_ascii_case(wanted) {
            return Err(Error::Digest {
                path: path.to_owned(),
                algorithm: named.to_owned(),
                said_in: said_in.to_owned(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Block> {
        blocks("x.mf", text.as_bytes()).unwrap()
    }

    #[test]
    fn a_block_ends_at_an_empty_line_and_at_the_next_name() {
        let found =
            of("metadata:\n  vendor: v\n\nSource: a\nHash: 1\nSource: b\nhash : 2\n-----BEGIN CMS-----\nName: c");
        assert_eq!(found.len(), 4);
        assert_eq!(found[0]["vendor"], "v");
        assert_eq!((found[1]["source"].as_str(), found[1]["hash"].as_str()), ("a", "1"));
        assert_eq!((found[2]["source"].as_str(), found[2]["hash"].as_str()), ("b", "2"));
        assert_eq!(found[3]["name"], "c");
    }

    #[test]
    fn a_manifest_that_is_longer_than_any_is_refused() {
        let many = "Name:\n".repeat(MAX_BLOCKS + 2);
        let long = "x".repeat(MAX_BYTES + 1);
        for text in [many, long] {
            assert_eq!(blocks("x.mf", text.as_bytes()), Err(Error::Manifest("x.mf".to_owned())));
        }
    }

    #[test]
    fn a_file_that_is_named_often_is_read_once() {
        let files: BTreeMap<String, Vec<u8>> = [("a".to_owned(), b"content".to_vec())].into();
        let hash = hex(&Sha512::digest(b"content"));
        let text = format!("Source: a\nAlgorithm: SHA-512\nHash: {hash}\n").repeat(1000);
        let mut digests = Digests::of(&files);
        digests.check("x.mf", text.as_bytes()).unwrap();
        assert_eq!(digests.made.len(), 1);
        // One that is wrong is found however many were right before it.
        let wrong = format!("{text}Source: a\nAlgorithm: sha512\nHash: 00\n");
        assert!(matches!(
            digests.check("x.mf", wrong.as_bytes()),
            Err(Error::Digest { .. })
        ));
    }
}
