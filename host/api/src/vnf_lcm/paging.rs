//! Pages of lists (SOL013 5.4): by the last id of the page, and a `Link` to the next.

use http::Uri;
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::problem::Problem;
use crate::path::encoded;

/// The parameter that says where a page starts.
const MARKER: &str = "nextpage_opaque_marker";

/// Characters of a marker: it is the id of an entry, and this host makes ids of one form only.
const LENGTH: usize = 36;

/// Where the page starts that a query asks for. Whether the entry is still there does not count: what follows it is the next page.
pub(crate) fn marker(query: &[(String, String)]) -> Result<Option<String>, Problem> {
    let Some((_, marker)) = query.iter().find(|(key, _)| key == MARKER) else {
        return Ok(None);
    };
    if marker.len() != LENGTH || uuid::Uuid::try_parse(marker).is_err() {
        return Err(Problem::new(400, format!("'{MARKER}' is not of a 'Link' of this list")));
    }
    Ok(Some(marker.clone()))
}

/// The value of `Link` for the page after `last`: the URL that was asked for with another marker. One link only, with `rel` in quotes: the
/// client's pattern is greedy. A client may send letters that no header can hold; they are encoded here.
pub(crate) fn link(endpoint: &str, asked: &Uri, last: &str) -> String {
    let query = asked.query().unwrap_or_default();
    let others = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && name != MARKER
    });
    let own = format!("{MARKER}={}", encoded(last));
    let query: Vec<&str> = others.chain(std::iter::once(own.as_str())).collect();
    // A client may have written letters into its URL that no header can hold; without the link it would take the page for all there is.
    let query = query.join("&");
    let query = utf8_percent_encode(&query, CONTROLS);
    format!("<{endpoint}{}?{query}>;rel=\"next\"", asked.path())
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_link_is_what_was_asked_for_with_the_marker_added_or_replaced() {
        for (asked, expected) in [
            (
                "/vnf_instances",
                "<http://h/vnf_instances?nextpage_opaque_marker=b>;rel=\"next\"",
            ),
            (
                "/vnf_instances?filter=(eq,id,a)&nextpage_opaque_marker=a&all_fields",
                "<http://h/vnf_instances?filter=(eq,id,a)&all_fields&nextpage_opaque_marker=b>;rel=\"next\"",
            ),
            (
                "/vnf_instances?filter=(eq,vnfInstanceName,\u{fc})",
                "<http://h/vnf_instances?filter=(eq,vnfInstanceName,%C3%BC)&nextpage_opaque_marker=b>;rel=\"next\"",
            ),
        ] {
            let link = link("http://h", &asked.parse().unwrap(), "b");
            assert_eq!(link, expected);
            assert!(http::HeaderValue::from_str(&link).is_ok());
        }
    }

    #[test]
    fn a_marker_is_an_id() {
        let query = |marker: &str| vec![(MARKER.to_owned(), marker.to_owned())];
        assert_eq!(marker(&[]).unwrap(), None);
        let id = "4f1b2c9e-8a35-4d2a-9d5e-6a0c1b7f3e10";
        assert_eq!(marker(&query(id)).unwrap().as_deref(), Some(id));
        for wrong in [
            "",
            "a",
            "a\nb",
            &"x".repeat(LENGTH),
            &"x".repeat(256),
            &id.replace('-', ""),
        ] {
            assert_eq!(marker(&query(wrong)).unwrap_err().status(), 400, "{wrong}");
        }
    }
}
