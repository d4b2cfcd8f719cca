//! Where a request goes: origins, paths and queries, as text that is split once and never decoded.
//!
//! By hand, because the `url` crate brings tables for international names that are larger than a whole connector, and the
//! account's URL is already in the form that the host has parsed.

use std::fmt;

use crate::types::Error;

/// The scheme of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> &'static str {
        match self {
            Self::Http => ":80",
            Self::Https => ":443",
        }
    }
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Scheme.
    pub scheme: Scheme,
    /// Host and port in small letters; the port is left out when it is the scheme's own.
    pub authority: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

/// Origin, path and query; path and query are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub origin: Origin,
    /// Begins with a slash, or is empty.
    pub path: String,
    /// Without the question mark.
    pub query: String,
}

impl Target {
    /// Path and query, as they stand in a request.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        if self.query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", self.query)
        }
    }

    /// The target a `Location` header names, seen from here.
    pub(super) fn resolve(&self, location: &str) -> Result<Self, Error> {
        if location.contains("://") {
            return split(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return split(&format!("{}://{rest}", self.origin.scheme.as_str()));
        }
        let path = if location.starts_with('/') {
            location.to_owned()
        } else {
            let directory = self.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            format!("{directory}/{location}")
        };
        split(&format!("{}{path}", self.origin))
    }
}

/// Takes a URL apart.
///
/// # Errors
///
/// When it is no `http` or `https` URL with a host and nothing but a host and a port, as a bad request.
pub(super) fn split(url: &str) -> Result<Target, Error> {
    let wrong = |why: &str| Error::bad_request(format!("{url:?} is no URL of an API: {why}"));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(wrong("its scheme is neither http nor https")),
    };
    if rest.chars().any(|c| c.is_control() || c == ' ' || c == '\\') {
        return Err(wrong("it contains a character that must be encoded"));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.contains('@') {
        return Err(wrong("credentials do not belong into it"));
    }
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(scheme.default_port()).unwrap_or(&authority);
    if authority.is_empty() || authority.starts_with(':') {
        return Err(wrong("it has no host"));
    }
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    Ok(Target {
        origin: Origin {
            scheme,
            authority: authority.to_owned(),
        },
        path: path.to_owned(),
        query: query.to_owned(),
    })
}

/// Percent-encodes all but the unreserved characters of RFC 3986, so that the text can stand in any part of a URL.
pub fn encode(text: &str, into: &mut String) {
    // A part that is `.` or `..` would be taken for a step in the path.
    if text == "." || text == ".." {
        into.push_str(&text.replace('.', "%2E"));
        return;
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.extend(
                [byte >> 4, byte & 0xf]
                    .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase()),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = String::new();
        encode(text, &mut out);
        out
    }

    #[test]
    fn all_but_unreserved_characters_are_encoded() {
        assert_eq!(encoded("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(encoded("a/b?c=d&e f%ü"), "a%2Fb%3Fc%3Dd%26e%20f%25%C3%BC");
        assert_eq!(encoded(".."), "%2E%2E");
    }

    #[test]
    fn urls_are_taken_apart() {
        let target = split("HTTPS://Nova.example:443/v2.1/p?x=1#y").unwrap();
        assert_eq!(target.origin.to_string(), "https://nova.example");
        assert_eq!((target.path.as_str(), target.query.as_str()), ("/v2.1/p", "x=1"));
        assert_eq!(split("http://[::1]:8080").unwrap().path_and_query(), "/");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "mock:",
            "ftp://a",
            "http://",
            "http://:80/",
            "http://user:pw@host/",
            "http://a b/",
            "http://a\\b",
        ] {
            assert!(split(url).is_err(), "{url}");
        }
    }

    #[test]
    fn locations_are_seen_from_where_they_were_given() {
        let here = split("http://heat.example/v1/p/stacks/s").unwrap();
        let to = |location: &str| {
            let target = here.resolve(location).unwrap();
            format!("{}{}", target.origin, target.path_and_query())
        };
        assert_eq!(
            to("http://heat.example/v1/p/stacks/s/i"),
            "http://heat.example/v1/p/stacks/s/i"
        );
        assert_eq!(to("/v1/x?y=1"), "http://heat.example/v1/x?y=1");
        assert_eq!(to("s/i"), "http://heat.example/v1/p/stacks/s/i");
        assert_eq!(to("//evil.example/x"), "http://evil.example/x");
    }
}
