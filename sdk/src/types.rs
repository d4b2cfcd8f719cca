//! The contract's records that every interface uses, and small helpers on them.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::shared::vimhost::connector::vim_types::{
    Account, Call, CreateStep, Created, Credential, Cursor, DeleteStep, ElementKind, ElementStatus, Error, ErrorKind,
    InterfaceObservation, JournalEntry, JournalStatus, Json, Observation, Observed, Owned, OwnedPage, Pending,
    ServerObservation, Token, VimId,
};

impl Account {
    /// The handle of a credential, if the operator entered it.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<&str> {
        self.credentials
            .iter()
            .find(|credential| credential.name == name)
            .map(|credential| credential.handle.as_str())
    }

    /// The account's settings as a type of the connector's own.
    ///
    /// # Errors
    ///
    /// When they do not fit, as a bad request.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let text = if self.config.is_empty() { "{}" } else { &self.config };
        serde_json::from_str(text).map_err(|error| {
            Error::bad_request(format!(
                "the settings of account {} are not understood: {error}",
                self.name
            ))
        })
    }
}

impl Pending {
    /// Asks to be called again.
    #[must_use]
    pub fn new(reason: impl Into<String>, again_in_ms: u32) -> Self {
        Self {
            reason: reason.into(),
            again_in_ms,
            state: None,
        }
    }

    /// The same, with a state for the next call.
    #[must_use]
    pub fn with_state<T: Serialize>(mut self, state: &T) -> Self {
        // A state is a hint; what cannot be written is left out, and the next call starts without it.
        self.state = serde_json::to_vec(state).ok();
        self
    }
}

impl Call {
    /// The state the previous `pending` left, if there is one and it is understood.
    #[must_use]
    pub fn state_as<T: DeserializeOwned>(&self) -> Option<T> {
        self.state
            .as_deref()
            .and_then(|state| serde_json::from_slice(state).ok())
    }

    /// Asks to be called again, after a time that doubles with each call up to a bound. Takes the state for itself.
    #[must_use]
    pub fn wait(&self, reason: impl Into<String>, first_ms: u32, longest_ms: u32) -> Pending {
        let before: Option<u32> = self.state_as();
        let again = before
            .map_or(first_ms, |before| before.saturating_mul(2))
            .clamp(first_ms.min(longest_ms), longest_ms);
        Pending::new(reason, again).with_state(&again)
    }
}

impl Created {
    /// An element without interfaces.
    #[must_use]
    pub fn element(id: impl Into<VimId>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: Some(name.into()),
            interfaces: Vec::new(),
        }
    }
}

impl From<Created> for CreateStep {
    fn from(created: Created) -> Self {
        Self::Done(created)
    }
}

impl From<Pending> for CreateStep {
    fn from(pending: Pending) -> Self {
        Self::Pending(pending)
    }
}

impl From<Pending> for DeleteStep {
    fn from(pending: Pending) -> Self {
        Self::Pending(pending)
    }
}

/// A value as the JSON text the contract carries. What cannot be written as JSON becomes `null`.
#[must_use]
pub fn json<T: Serialize + ?Sized>(value: &T) -> Json {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// JSON text of the contract as a value.
///
/// # Errors
///
/// When it is not understood, as a bad request that names `what`.
pub fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::bad_request(format!("{what} is not understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_its_bound() {
        let mut call = Call::default();
        let mut waits = Vec::new();
        for _ in 0..4 {
            let pending = call.wait("volumes", 20, 100);
            waits.push(pending.again_in_ms);
            call.state = pending.state;
        }
        assert_eq!(waits, [20, 40, 80, 100]);
    }

    #[test]
    fn a_state_that_is_not_understood_is_no_state() {
        let call = Call {
            state: Some(b"\xff".to_vec()),
            ..Call::default()
        };
        assert_eq!(call.state_as::<u32>(), None);
        assert_eq!(call.wait("volumes", 20, 100).again_in_ms, 20);
    }

    #[test]
    fn settings_of_an_account_without_any_are_an_empty_object() {
        #[derive(serde::Deserialize)]
        struct Settings {
            region: Option<String>,
        }
        assert_eq!(Account::default().settings::<Settings>().unwrap().region, None);
    }
}
