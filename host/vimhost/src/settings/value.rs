//! The kinds of values settings have: read from text once, whichever place the text stands in, and shown again.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use tracing_subscriber::EnvFilter;
use url::Url;
use vimhost_api::admin::TokenDigest;
use vimhost_model::{AddressRange, Secret};

/// A value of a setting.
pub trait Value: Clone + Send + Sync + 'static {
    /// Reads it. The error says what would be right.
    fn read(text: &str) -> Result<Self, String>;
    /// As an operator may see it: nothing that lets in.
    fn shown(&self) -> String;
}

impl Value for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self::from(text))
    }
    fn shown(&self) -> String {
        self.display().to_string()
    }
}

impl Value for SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "not an address with a port like 127.0.0.1:9191 or [::1]:9191".to_owned())
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for AddressRange {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "not a range like 10.1.0.0/16".to_owned())
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("not a whole number from 0 to {}", Self::MAX))
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for u64 {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "not a whole number from 0".to_owned())
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for usize {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "not a whole number from 0".to_owned())
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for NonZeroUsize {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "not a whole number from 1".to_owned())
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for NonZeroU16 {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "not a port from 1 to 65535".to_owned())
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, String> {
        use clap::builder::TypedValueParser as _;
        let nobody = clap::Command::new("vimhost");
        BoolishValueParser::new()
            .parse_ref(&nobody, None, text.as_ref())
            .map_err(|_| "neither true nor false".to_owned())
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for TokenDigest {
    fn read(text: &str) -> Result<Self, String> {
        let (role, digest) = text.split_once(':').ok_or("not ROLE:DIGEST")?;
        Self::new(digest, role).map_err(|error| error.to_string())
    }
    fn shown(&self) -> String {
        "***".to_owned()
    }
}

/// A name of something outside: one word or more, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Name {
    fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Value for Secret {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self::new(text))
    }
    fn shown(&self) -> String {
        "***".to_owned()
    }
}

/// Which lines are logged: `info`, or `info,vimhost_runtime=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter; it was read before, so nothing of it is left out.
    pub fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Value for LogFilter {
    fn read(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|error| format!("not a log filter like info,vimhost_runtime=debug: {error}"))
    }
    fn shown(&self) -> String {
        self.0.clone()
    }
}

/// An address of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// As a URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl Value for HttpUrl {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || "not a URL like http://127.0.0.1:4318".to_owned();
        let url: Url = text.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong());
        }
        Ok(Self(url))
    }
    fn shown(&self) -> String {
        // A URL may carry a password; whoever reads the settings need not learn it.
        let mut url = self.0.clone();
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return "***".to_owned();
        }
        if url.query().is_some() {
            url.set_query(Some("***"));
        }
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_refused_with_what_would_be_right() {
        assert!(SocketAddr::read("localhost").unwrap_err().contains("127.0.0.1:9191"));
        assert!(AddressRange::read("10.0.0.0").unwrap_err().contains("10.1.0.0/16"));
        assert!(NonZeroUsize::read("0").unwrap_err().contains("from 1"));
        assert!(NonZeroU16::read("0").unwrap_err().contains("65535"));
        assert!(bool::read("perhaps").unwrap_err().contains("true"));
        assert!(TokenDigest::read("abc").unwrap_err().contains("ROLE:DIGEST"));
        assert!(TokenDigest::read("root:00").unwrap_err().contains("operator"));
        assert!(HttpUrl::read("127.0.0.1:4318").unwrap_err().contains("http://"));
        assert!(LogFilter::read("vimhost=loud").unwrap_err().contains("log filter"));
        assert!(PathBuf::read("").is_err());
        assert!(Name::read(" ").is_err());
        assert!(Secret::read("").is_err());
    }

    #[test]
    fn nothing_that_lets_in_is_shown() {
        let token = TokenDigest::read(&format!("admin:{}", "ab".repeat(32))).unwrap();
        assert_eq!(token.shown(), "***");
        let database = Secret::read("mongodb://me:swordfish@db.example/").unwrap();
        assert_eq!(database.shown(), "***");
        let url = HttpUrl::read("https://me:secret@collector.example/v1?key=secret").unwrap();
        assert!(!url.shown().contains("secret"), "{}", url.shown());
    }
}
