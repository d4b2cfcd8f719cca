//! Archives (SOL004): a zip archive as files by path, with every promise checked that can be broken.
//!
//! Two structures exist: one with `TOSCA-Metadata/TOSCA.meta`, which names the main document, and one with a single YAML document in the root.
//! Digests stand in blocks of a manifest (`*.mf`) or of `TOSCA.meta`; each is checked. Those that a VNFD says of its images are checked where
//! VNFDs are read.

mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::MAX_ARCHIVE_BYTES;
pub(crate) use manifest::Digests;
use manifest::blocks;

/// Most entries, directories included.
pub const MAX_ENTRIES: usize = 1_000;

/// Headers of entries that may be in an archive before it is read at all: reading takes some hundred bytes for each. Those of archives
/// within the archive count too, since where its own begin is not known then.
const MAX_HEADERS: usize = 1 << 16;

/// What a header of an entry in the directory of an archive begins with.
const HEADER: &[u8; 4] = b"PK\x01\x02";

/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 512;

/// What is larger than this unpacked must not be a thousand times smaller packed. Text packs to a tenth, images to a half.
const RATIO_FROM_BYTES: u64 = 4 << 20;

/// How many times larger than packed it may be then.
const MAX_RATIO: u64 = 200;

/// The bits of a Unix mode that say what kind of file it is.
const KIND_OF_FILE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// Where the first structure keeps its metadata.
const TOSCA_META: &str = "TOSCA-Metadata/TOSCA.meta";

/// Why an archive is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a zip archive, or a broken one.
    #[error("the package is no readable zip archive: {0}")]
    NotAnArchive(String),
    /// Too many entries.
    #[error("the package has {0} entries, at most {MAX_ENTRIES} are allowed")]
    TooManyEntries(usize),
    /// Too much content.
    #[error("the package has more than {MAX_ARCHIVE_BYTES} bytes unpacked")]
    TooLarge,
    /// A bomb.
    #[error("{0} is more than {MAX_RATIO} times larger than packed")]
    Ratio(String),
    /// Leaves the package, or is written in a way that some programs take for something else.
    #[error("entry {0:?} has a path that is not allowed")]
    Path(String),
    /// Twice the same path.
    #[error("there are two entries {0:?}")]
    Duplicate(String),
    /// Neither file nor directory.
    #[error("entry {0:?} is a link or a special file")]
    Link(String),
    /// Encrypted.
    #[error("entry {0:?} is encrypted")]
    Encrypted(String),
    /// Broken entry.
    #[error("entry {path:?} cannot be unpacked: {reason}")]
    Unreadable {
        /// Path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A manifest that is longer than any is.
    #[error("{0} is longer than a manifest may be")]
    Manifest(String),
    /// A digest is not that of the file.
    #[error("{path} does not have the {algorithm} digest that {said_in} says")]
    Digest {
        /// The file.
        path: String,
        /// Algorithm.
        algorithm: String,
        /// The manifest.
        said_in: String,
    },
    /// A digest that cannot be checked.
    #[error("{said_in} says a digest of {path} that cannot be checked: {reason}")]
    Unchecked {
        /// The file.
        path: String,
        /// The manifest.
        said_in: String,
        /// Why.
        reason: String,
    },
    /// No main document.
    #[error("the package has no main document: {0}")]
    NoEntry(String),
}

/// What is in a package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archive {
    files: BTreeMap<String, Vec<u8>>,
    entry: String,
}

impl Archive {
    /// Unpacks and checks an archive.
    ///
    /// # Errors
    /// When it is none, breaks a bound, or a digest in it is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let files = unpack(bytes)?;
        check_digests(&files)?;
        let entry = entry_of(&files)?;
        Ok(Self { files, entry })
    }

    /// Path of the main document.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// A file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Checks digests, each file once for each algorithm.
    pub(crate) fn digests(&self) -> Digests<'_> {
        Digests::of(&self.files)
    }

    /// All files by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }
}

/// A file that tells of the package and is none of its artifacts.
pub(crate) fn is_metadata(path: &str) -> bool {
    path.starts_with("TOSCA-Metadata/") || is_manifest(path)
}

fn is_manifest(path: &str) -> bool {
    path.ends_with(".mf")
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

fn broken(error: &ZipError) -> Error {
    Error::NotAnArchive(error.to_string())
}

fn unpack(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    if bytes.len() > MAX_ARCHIVE_BYTES {
        return Err(Error::TooLarge);
    }
    let headers = bytes.windows(HEADER.len()).filter(|four| *four == HEADER).count();
    if headers > MAX_HEADERS {
        return Err(Error::TooManyEntries(headers));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    if archive.len() > MAX_ENTRIES {
        return Err(Error::TooManyEntries(archive.len()));
    }
    if archive.has_duplicate_names() {
        return Err(Error::Duplicate("of one name".to_owned()));
    }
    let mut files = BTreeMap::new();
    let mut left = MAX_ARCHIVE_BYTES as u64;
    for index in 0..archive.len() {
        let (path, directory) = {
            let entry = archive.by_index_data(index).map_err(|error| broken(&error))?;
            let path = entry.name().map_err(|error| broken(&error))?.into_owned();
            if entry.encrypted() {
                return Err(Error::Encrypted(path));
            }
            let kind = entry.unix_mode().map_or(0, |mode| mode & KIND_OF_FILE);
            if ![0, REGULAR, DIRECTORY].contains(&kind) || entry.is_symlink() {
                return Err(Error::Link(path));
            }
            let directory = path.ends_with('/');
            (path, directory)
        };
        check_path(&path)?;
        if directory {
            continue;
        }
        let content = content_of(&mut archive, index, &path, left)?;
        left = left.saturating_sub(content.len() as u64);
        // Names that differ only in `./` were refused above, so this is the last way to be the same.
        if files.contains_key(&path) {
            return Err(Error::Duplicate(path));
        }
        files.insert(path, content);
    }
    Ok(files)
}

/// Unpacks an entry, at most `left` bytes whatever it says of itself.
fn content_of(archive: &mut ZipArchive<Cursor<&[u8]>>, index: usize, path: &str, left: u64) -> Result<Vec<u8>, Error> {
    let unreadable = |reason: String| Error::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let entry = archive.by_index(index).map_err(|error| unreadable(error.to_string()))?;
    let packed = entry.compressed_size();
    let may_be = packed.saturating_mul(MAX_RATIO).max(RATIO_FROM_BYTES);
    let mut content = Vec::new();
    entry
        .take(left.min(may_be).saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| unreadable(error.to_string()))?;
    let size = content.len() as u64;
    if size > left {
        return Err(Error::TooLarge);
    }
    if size > may_be {
        return Err(Error::Ratio(path.to_owned()));
    }
    Ok(content)
}

fn check_path(path: &str) -> Result<(), Error> {
    let plain = path.strip_suffix('/').unwrap_or(path);
    let bad = plain.is_empty()
        || path.len() > MAX_PATH_BYTES
        || path.contains('\\')
        || path.contains(':')
        || path.chars().any(char::is_control)
        || plain
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..");
    if bad {
        return Err(Error::Path(path.to_owned()));
    }
    Ok(())
}

/// Checks what all manifests say.
fn check_digests(files: &BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    let mut digests = Digests::of(files);
    for (said_in, content) in files {
        if said_in == TOSCA_META || is_manifest(said_in) {
            digests.check(said_in, content)?;
        }
    }
    Ok(())
}

fn entry_of(files: &BTreeMap<String, Vec<u8>>) -> Result<String, Error> {
    if let Some(meta) = files.get(TOSCA_META) {
        let named = blocks(TOSCA_META, meta)?
            .into_iter()
            .find_map(|mut block| block.remove("entry-definitions"));
        let named = named.ok_or_else(|| Error::NoEntry(format!("{TOSCA_META} has no Entry-Definitions")))?;
        if !files.contains_key(&named) {
            return Err(Error::NoEntry(format!(
                "{TOSCA_META} names {named}, which is not in the package"
            )));
        }
        return Ok(named);
    }
    let in_root: BTreeSet<&String> = files
        .keys()
        .filter(|path| !path.contains('/') && is_yaml(path))
        .collect();
    let mut found = in_root.into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(Error::NoEntry(format!(
            "it has neither {TOSCA_META} nor a YAML document in its root"
        ))),
        (Some(_), Some(_)) => Err(Error::NoEntry(format!(
            "it has several YAML documents in its root and no {TOSCA_META}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use sha2::{Digest as _, Sha256, Sha512};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::sample::{meta, zipped};
    use vimhost_model::hex;

    const ENTRY: (&str, &str) = ("vnfd.yaml", "tosca_definitions_version: x\n");

    fn refused(files: &[(&str, &str)]) -> Error {
        Archive::read(&zipped(files)).unwrap_err()
    }

    #[test]
    fn files_come_back_by_path_in_both_structures() {
        let archive = Archive::read(&zipped(&[
            ("TOSCA-Metadata/TOSCA.meta", meta("Definitions/top.yaml").as_str()),
            ("Definitions/top.yaml", "a: 1"),
            ("other.yaml", "b: 2"),
            ("more.yaml", "c: 3"),
        ]))
        .unwrap();
        assert_eq!(archive.entry(), "Definitions/top.yaml");
        assert_eq!(archive.file("other.yaml"), Some(&b"b: 2"[..]));
        assert_eq!(archive.files().count(), 4);

        let archive = Archive::read(&zipped(&[ENTRY, ("Files/x.yaml", "y")])).unwrap();
        assert_eq!(archive.entry(), "vnfd.yaml");
    }

    #[test]
    fn a_package_without_one_main_document_is_refused() {
        assert!(matches!(refused(&[("a.yaml", ""), ("b.yml", "")]), Error::NoEntry(_)));
        assert!(matches!(refused(&[("a/b.yaml", "")]), Error::NoEntry(_)));
        let lost = refused(&[("TOSCA-Metadata/TOSCA.meta", meta("Definitions/top.yaml").as_str())]);
        assert!(lost.to_string().contains("Definitions/top.yaml"), "{lost}");
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert!(matches!(Archive::read(b"no zip"), Err(Error::NotAnArchive(_))));
        let mut cut = zipped(&[ENTRY]);
        cut.truncate(cut.len() / 2);
        assert!(matches!(Archive::read(&cut), Err(Error::NotAnArchive(_))));
    }

    #[test]
    fn a_path_that_leaves_the_package_is_refused() {
        for path in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a\\b",
            "C:/x",
            "./a",
            "a//b",
            "a\u{1}b",
        ] {
            let refusal = refused(&[ENTRY, (path, "x")]);
            assert!(matches!(&refusal, Error::Path(_)), "{path}: {refusal}");
        }
    }

    #[test]
    fn too_many_entries_are_refused() {
        let names: Vec<String> = (0..=MAX_ENTRIES).map(|number| format!("f{number}")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert_eq!(refused(&files), Error::TooManyEntries(MAX_ENTRIES + 1));
        // Not even a directory of them is made.
        let headers = HEADER.repeat(MAX_HEADERS + 1);
        assert_eq!(Archive::read(&headers), Err(Error::TooManyEntries(MAX_HEADERS + 1)));
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = "0".repeat(16 << 20);
        assert_eq!(
            refused(&[ENTRY, ("zeros", zeros.as_str())]),
            Error::Ratio("zeros".to_owned())
        );
        // Each below the bound of a single file, together above that of the package.
        let some = "0".repeat(4 << 20);
        let names: Vec<String> = (0..17).map(|number| format!("f{number}")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), some.as_str())).collect();
        assert_eq!(refused(&files), Error::TooLarge);
    }

    #[test]
    fn a_link_is_refused() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer
            .add_symlink("link", "/etc/passwd", SimpleFileOptions::default())
            .unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        assert_eq!(Archive::read(&bytes), Err(Error::Link("link".to_owned())));
    }

    /// Sets bits of the flags of every central header.
    fn flagged(mut bytes: Vec<u8>, bits: u8) -> Vec<u8> {
        for at in 0..bytes.len() - 9 {
            if bytes[at..].starts_with(b"PK\x01\x02") {
                bytes[at + 8] |= bits;
            }
        }
        bytes
    }

    #[test]
    fn an_encrypted_entry_is_refused() {
        let bytes = flagged(zipped(&[ENTRY]), 1);
        assert_eq!(Archive::read(&bytes), Err(Error::Encrypted("vnfd.yaml".to_owned())));
    }

    #[test]
    fn two_entries_of_one_path_are_refused() {
        let mut bytes = zipped(&[("one.yaml", "x"), ("two.yaml", "x")]);
        for at in 0..bytes.len() - 8 {
            if bytes[at..].starts_with(b"two.yaml") {
                bytes[at..at + 8].copy_from_slice(b"one.yaml");
            }
        }
        assert!(matches!(Archive::read(&bytes), Err(Error::Duplicate(_))));
    }

    #[test]
    fn a_wrong_digest_is_refused_by_name() {
        let good = hex(&Sha256::digest(b"content"));
        let long = hex(&Sha512::digest(b"content"));
        let manifest = |algorithm: &str, hash: &str| {
            format!(
                "metadata:\n  vnf_product_name: x\n\nSource: Files/a.txt\nAlgorithm: {algorithm}\nHash: {hash}\n\nSource: vnfd.yaml\n"
            )
        };
        for (algorithm, hash) in [("SHA-256", &good), ("sha-512", &long)] {
            let text = manifest(algorithm, hash);
            Archive::read(&zipped(&[ENTRY, ("Files/a.txt", "content"), ("x.mf", text.as_str())])).unwrap();
            let wrong = refused(&[ENTRY, ("Files/a.txt", "other"), ("x.mf", text.as_str())]);
            assert!(
                matches!(&wrong, Error::Digest { path, said_in, .. } if path == "Files/a.txt" && said_in == "x.mf"),
                "{wrong}"
            );
        }
        let missing = refused(&[ENTRY, ("x.mf", manifest("SHA-256", &good).as_str())]);
        assert!(matches!(missing, Error::Unchecked { .. }), "{missing}");
        let unknown = refused(&[
            ENTRY,
            ("Files/a.txt", "content"),
            ("x.mf", manifest("MD5", &good).as_str()),
        ]);
        assert!(matches!(unknown, Error::Unchecked { .. }), "{unknown}");
    }

    #[test]
    fn directories_are_no_files() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_directory("Files", SimpleFileOptions::default()).unwrap();
        writer.start_file("vnfd.yaml", SimpleFileOptions::default()).unwrap();
        writer.write_all(b"x: 1").unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        assert_eq!(Archive::read(&bytes).unwrap().files().count(), 1);
    }
}
