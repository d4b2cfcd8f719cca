//! The settings of an account that are Heat's alone. What is about reaching the cloud is read by [`vimhost_keystone::Access`].

use serde::Deserialize;
use vimhost_sdk::prelude::*;

/// An account's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where Heat is, where the catalogue is not to be asked.
    pub(crate) heat_endpoint: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    heat_endpoint: Option<String>,
}

impl Settings {
    /// Reads an account's settings.
    ///
    /// # Errors
    ///
    /// A bad request that names the setting.
    pub(crate) fn of(account: &Account) -> Result<Self, Error> {
        let told: Told = account.settings()?;
        let heat_endpoint = told.heat_endpoint.as_deref().map(str::trim);
        let heat_endpoint = heat_endpoint.filter(|url| !url.is_empty());
        if let Some(url) = heat_endpoint {
            Client::new(url).map_err(|error| {
                error.while_doing(&format!("the settings of account {}: `heat_endpoint`", account.name))
            })?;
        }
        Ok(Self {
            heat_endpoint: heat_endpoint.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &str) -> Result<Settings, Error> {
        Settings::of(&Account {
            name: "lab".into(),
            config: config.into(),
            ..Account::default()
        })
    }

    #[test]
    fn an_endpoint_is_a_url_or_none() {
        assert_eq!(settings("").unwrap().heat_endpoint, None);
        assert_eq!(settings(r#"{"heat_endpoint": " "}"#).unwrap().heat_endpoint, None);
        let url = "https://heat.example:8004/v1";
        let given = settings(&format!(r#"{{"heat_endpoint": "{url}"}}"#)).unwrap();
        assert_eq!(given.heat_endpoint.as_deref(), Some(url));
        let wrong = settings(r#"{"heat_endpoint": "heat.example"}"#).unwrap_err();
        assert_eq!(wrong.kind, ErrorKind::BadRequest);
        assert!(wrong.message.contains("heat_endpoint"), "{}", wrong.message);
    }
}
