//! Where an observation of servers stands: the cursor.
//!
//! ```text
//! no cursor ─► Walk ──all pages, or it costs more than asking─► Ask ──nothing left─► Rest(since)
//!                                                                ▲                      │ next observation
//!                                                                │                      ▼
//!                             servers whose ports changed ───────┴───────────────── Changes ─► Rest(since)
//! ```
//!
//! `Walk` reads the listing of all servers, `Ask` looks at the servers that no page has shown, one by one, `Changes` reads
//! what has changed since. An id is gone when Nova says so about that id and never because it is not in a list.

use serde::{Deserialize, Serialize};

/// What the connector writes today; another one is not understood, which means a fresh start.
const FORM: u8 = 1;

/// A place in an observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    form: u8,
    /// From when on changes are asked for after this observation, in seconds since 1970 by Nova's clock.
    pub(super) since: u64,
    /// What is left of this observation.
    pub(super) stage: Stage,
}

/// What is left of an observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Nothing.
    Rest,
    /// The listing of all servers, from the one behind `after` on.
    Walk {
        /// The last server that was read.
        after: Option<String>,
        /// Pages read.
        pages: usize,
        /// Asked ids that need not be looked for any more.
        told: Told,
    },
    /// The ids that are not told, one by one.
    Ask {
        /// Asked ids that need not be looked for any more.
        told: Told,
    },
    /// The listing of servers that changed since a time.
    Changes {
        /// That time.
        from: u64,
        /// The last server that was read.
        after: Option<String>,
        /// Asked ids that were told in this observation.
        told: Told,
    },
}

impl Place {
    pub(super) fn new(since: u64, stage: Stage) -> Self {
        Self {
            form: FORM,
            since,
            stage,
        }
    }

    /// Out of a cursor; `None` when it is not understood.
    pub(super) fn of(cursor: &[u8]) -> Option<Self> {
        let place: Self = serde_json::from_slice(cursor).ok()?;
        (place.form == FORM).then_some(place)
    }

    /// As a cursor; `None` when it is too long for one.
    pub(super) fn cursor(&self) -> Option<Vec<u8>> {
        /// What the contract allows.
        const LONGEST: usize = 64 << 10;
        serde_json::to_vec(self).ok().filter(|cursor| cursor.len() <= LONGEST)
    }
}

/// Which of the asked ids are told, by their place in the request; a digit for four of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(super) struct Told(Vec<u8>);

impl Told {
    /// All of so many.
    pub(super) fn all(count: usize) -> Self {
        let mut told = Self::default();
        (0..count).for_each(|index| told.insert(index));
        told
    }

    /// Marks one.
    pub(super) fn insert(&mut self, index: usize) {
        if self.0.len() <= index / 4 {
            self.0.resize(index / 4 + 1, 0);
        }
        if let Some(four) = self.0.get_mut(index / 4) {
            *four |= 1_u8 << (index % 4);
        }
    }

    /// Takes a mark away.
    pub(super) fn remove(&mut self, index: usize) {
        if let Some(four) = self.0.get_mut(index / 4) {
            *four &= !(1_u8 << (index % 4));
        }
    }

    /// Whether one is marked.
    pub(super) fn contains(&self, index: usize) -> bool {
        self.0
            .get(index / 4)
            .is_some_and(|four| *four & (1_u8 << (index % 4)) != 0)
    }

    /// Those of so many that are not marked.
    pub(super) fn missing(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        (0..count).filter(move |index| !self.contains(*index))
    }
}

impl From<Told> for String {
    fn from(told: Told) -> Self {
        let digit = |four: &u8| char::from_digit(u32::from(*four), 16).unwrap_or('0');
        told.0.iter().map(digit).collect()
    }
}

/// What is no digit counts as four that are not told: telling more is allowed.
impl From<String> for Told {
    fn from(text: String) -> Self {
        let four = |digit: char| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        Self(text.chars().map(|digit| four(digit).unwrap_or_default()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_behind_a_cursor() {
        let mut told = Told::default();
        [0, 3, 4, 17].into_iter().for_each(|index| told.insert(index));
        let stage = Stage::Walk {
            after: Some("s".into()),
            pages: 3,
            told,
        };
        let place = Place::new(7, stage);
        assert_eq!(Place::of(&place.cursor().unwrap()), Some(place));
        assert_eq!(Place::of(b"17"), None);
        assert_eq!(Place::of(br#"{"form": 2, "since": 1, "stage": "Rest"}"#), None);
    }

    #[test]
    fn what_is_told_is_not_missing() {
        let mut told = Told::all(6);
        told.remove(4);
        assert_eq!(told.missing(8).collect::<Vec<_>>(), [4, 6, 7]);
    }

    #[test]
    fn a_hundred_thousand_servers_fit_into_a_cursor() {
        let place = Place::new(
            0,
            Stage::Ask {
                told: Told::all(100_000),
            },
        );
        assert!(place.cursor().is_some());
    }
}
