//! What NG-RO's connectors note of what they made (`created_items`), as entries of our journal.
//!
//! | NG-RO | journal | at a deletion |
//! | --- | --- | --- |
//! | `port:<id>` | `port` | goes with the VM |
//! | `volume:<id>` | `volume` | goes with the VM, unless it is held for the one that takes its place |
//! | `volume:<id>:keep` | `volume:keep` | stays |
//! | `floating_ip:<id>` | `floating-address` | goes with the VM |
//! | `l2gwconn:<id>` | `l2gwconn` | goes with the network, where the connector knows such |
//!
//! Anything else is a connector's own affair and means nothing to another connector, so it is told and left out. The entries are
//! committed: each has its id in the VIM, and nothing is ever looked for by its token, which no element of NG-RO carries.

use vimhost_model::{JournalEntry, JournalStatus, Timestamp, VimId};

/// NG-RO's words and ours.
const KINDS: [(&str, &str); 4] = [
    ("port", "port"),
    ("volume", "volume"),
    ("floating_ip", "floating-address"),
    ("l2gwconn", "l2gwconn"),
];

/// What a volume has that outlives its VM.
const KEEP: &str = "keep";

/// The journal's word for a volume, kept or not, before the colon.
pub(super) const VOLUME: &str = "volume";

/// An item with the kind it has in the journal; none when it is not known.
fn known(item: &str) -> Option<(String, VimId)> {
    let (word, rest) = item.split_once(':')?;
    let (_, kind) = KINDS.iter().find(|(theirs, _)| *theirs == word)?;
    match rest.split_once(':') {
        None => Some(((*kind).to_owned(), VimId::new(rest).ok()?)),
        Some((id, KEEP)) if *kind == VOLUME => Some((format!("{kind}:{KEEP}"), VimId::new(id).ok()?)),
        Some(_) => None,
    }
}

/// The journal of an element, and the items that are not known. `token` is the element's own.
pub(super) fn journal(items: &[String], token: &str, at: Timestamp) -> (Vec<JournalEntry>, Vec<String>) {
    let mut entries: Vec<JournalEntry> = Vec::new();
    let mut unknown = Vec::new();
    for item in items {
        let Some((kind, element)) = known(item) else {
            unknown.push(item.chars().filter(|letter| !letter.is_control()).take(80).collect());
            continue;
        };
        let number = entries.len().saturating_add(1);
        entries.push(JournalEntry {
            id: u64::try_from(number).unwrap_or(u64::MAX),
            kind,
            token: format!("{token}.ng-{number}"),
            status: JournalStatus::Committed,
            begun_at: at,
            element: Some(element),
        });
    }
    (entries, unknown)
}

/// Volumes among the items, kept ones included: they are attached to the VM.
pub(super) fn volumes(items: &[String]) -> impl Iterator<Item = VimId> {
    let known = items.iter().filter_map(|item| known(item));
    known
        .filter(|(kind, _)| kind.split(':').next() == Some(VOLUME))
        .map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_its_word_in_the_journal_and_its_order() {
        let items: Vec<String> = [
            "port:p1",
            "volume:v1",
            "volume:v2:keep",
            "floating_ip:f1",
            "l2gwconn:l1",
        ]
        .map(str::to_owned)
        .into();
        let (entries, unknown) = journal(&items, "abcde-1", Timestamp(7));
        let shown: Vec<(u64, &str, &str)> = entries
            .iter()
            .map(|entry| (entry.id, entry.kind.as_str(), entry.element.as_ref().unwrap().as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (1, "port", "p1"),
                (2, "volume", "v1"),
                (3, "volume:keep", "v2"),
                (4, "floating-address", "f1"),
                (5, "l2gwconn", "l1"),
            ]
        );
        assert!(unknown.is_empty());
        assert_eq!(entries[2].token, "abcde-1.ng-3");
        assert!(entries.iter().all(|entry| entry.status == JournalStatus::Committed));
        let volumes: Vec<String> = volumes(&items).map(|id| id.to_string()).collect();
        assert_eq!(volumes, ["v1", "v2"]);
    }

    #[test]
    fn what_is_not_known_is_told_and_left_out() {
        let items: Vec<String> = ["status", "port:", "port:a:keep", "odd:1", "port:b"]
            .map(str::to_owned)
            .into();
        let (entries, unknown) = journal(&items, "t", Timestamp(0));
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].id, 1);
        assert_eq!(unknown, ["status", "port:", "port:a:keep", "odd:1"]);
    }
}
