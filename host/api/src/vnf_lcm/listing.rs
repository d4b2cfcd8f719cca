//! Lists of instances and of occurrences: spliced from texts, parsed only where a filter or a selector asks for it.
//!
//! What of a filter the store has an index for is asked of the store; the rest is decided here, on what lists show by default first.

use axum::extract::Query;
use axum::response::Response;
use http::{StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vimhost_engine::Error;
use vimhost_model::vnf::{VnfInstance, VnfLcmOpOcc};
use vimhost_store::{ListQuery, Listed, Page};

use super::Vnf;
use super::answer::{text_of, with_header};
use super::filter::Filter;
use super::links::{self, Links};
use super::paging;
use super::problem::Problem;
use super::selector::{Attributes, Selector};
use crate::failure::{Cause, Failure};

/// Where what is vimhost's own stands in a stored thing; nobody else sees it.
pub(super) const OWN: &str = "_vimhost";

/// Entries read from the store at a time.
const BATCH: usize = 1000;

/// The same where all of them is read: an instance of many VNFCs has some hundred kilobytes.
const WHOLE_BATCH: usize = 100;

/// Values that the store is asked for of an attribute that may have several: there are not more states.
const MOST_STATES: usize = 16;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Instances,
    OpOccs,
}

impl Kind {
    pub(super) fn attributes(self) -> Attributes {
        match self {
            Self::Instances => Attributes {
                mandatory: &[
                    "id",
                    "vnfdId",
                    "vnfProvider",
                    "vnfProductName",
                    "vnfSoftwareVersion",
                    "vnfdVersion",
                    "instantiationState",
                ],
                optional: &["vnfInstanceName", "vnfInstanceDescription"],
                excluded: &VnfInstance::DEFAULT_EXCLUDED,
            },
            Self::OpOccs => Attributes {
                mandatory: &[
                    "id",
                    "operationState",
                    "stateEnteredTime",
                    "startTime",
                    "vnfInstanceId",
                    "operation",
                    "isAutomaticInvocation",
                    "isCancelPending",
                ],
                optional: &[
                    "grantId",
                    "cancelMode",
                    "modificationsTriggeredByVnfPkgChange",
                    "vnfSnapshotInfoId",
                ],
                excluded: &VnfLcmOpOcc::DEFAULT_EXCLUDED,
            },
        }
    }

    /// The attribute by which the store finds what belongs together, and the one of the state.
    fn indexed(self) -> (&'static str, &'static str) {
        match self {
            Self::Instances => ("vnfdId", "instantiationState"),
            Self::OpOccs => ("vnfInstanceId", "operationState"),
        }
    }

    async fn page(
        self,
        vnf: &Vnf,
        query: &ListQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Listed>, Error> {
        match self {
            Self::Instances => vnf.engine.lcm().instances(query, after, limit).await,
            Self::OpOccs => vnf.engine.lcm().op_occs(query, after, limit).await,
        }
    }

    /// Links of an entry, by what has to be looked for in its text.
    fn links(self, endpoint: &str, entry: &Listed) -> Result<Links, Problem> {
        match self {
            Self::Instances => Ok(links::of_instance(endpoint, &entry.id, is_instantiated(&entry.head)?)),
            Self::OpOccs => {
                let head: OpOccHead = read(&entry.head)?;
                Ok(links::of_op_occ(endpoint, &entry.id, &head.vnf_instance_id))
            }
        }
    }
}

/// What a link of an occurrence needs: borrowed from the text, which is passed over and not built.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpOccHead<'a> {
    #[serde(borrow)]
    vnf_instance_id: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceHead<'a> {
    #[serde(borrow)]
    instantiation_state: std::borrow::Cow<'a, str>,
}

/// Whether an entry is instantiated. Its text is looked through before it is parsed: within a value quotes are escaped, so the words with
/// theirs stand for nothing else.
fn is_instantiated(head: &str) -> Result<bool, Problem> {
    if head.contains(r#""instantiationState":"INSTANTIATED""#) {
        return Ok(true);
    }
    if head.contains(r#""instantiationState":"NOT_INSTANTIATED""#) {
        return Ok(false);
    }
    let head: InstanceHead = read(head)?;
    Ok(head.instantiation_state == "INSTANTIATED")
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| broken(&error.to_string()))
}

/// What the store has is no object: a fault of the host.
fn broken(why: &str) -> Problem {
    Problem::from(Failure::internal(Cause {
        error: "an entry of a list cannot be read".to_owned(),
        chain: why.to_owned(),
    }))
}

/// A stored thing as clients see it: with its links, without what is vimhost's own.
pub(super) fn whole(thing: &impl Serialize, links: &Links) -> Result<Map<String, Value>, Problem> {
    let written = |error: serde_json::Error| broken(&error.to_string());
    let Value::Object(mut map) = serde_json::to_value(thing).map_err(written)? else {
        return Err(broken("it is no object"));
    };
    map.remove(OWN);
    map.insert("_links".to_owned(), serde_json::to_value(links).map_err(written)?);
    Ok(map)
}

/// The parameters of a query.
pub(crate) fn query(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map(|Query(pairs)| pairs)
        .map_err(|rejection| Problem::new(400, rejection.body_text()))
}

/// The filter of a query; where there are several, all of them have to match.
pub(crate) fn filter(query: &[(String, String)]) -> Result<Filter, Problem> {
    let mut filter = Filter::default();
    for (_, text) in query.iter().filter(|(key, _)| key == "filter") {
        filter.add(text).map_err(|reason| Problem::new(400, reason))?;
    }
    Ok(filter)
}

/// What one request wants of a list.
struct Wanted {
    kind: Kind,
    attributes: Attributes,
    filter: Filter,
    /// The filter asks for what is excluded by default.
    filter_on_rest: bool,
    selector: Selector,
    query: ListQuery,
}

impl Wanted {
    fn of(kind: Kind, query: &[(String, String)]) -> Result<Self, Problem> {
        let attributes = kind.attributes();
        let mut filter = filter(query)?;
        let selector = Selector::of(query, &attributes).map_err(|reason| Problem::new(400, reason))?;
        let (of, state) = kind.indexed();
        let one = |values: Option<Vec<String>>| values.and_then(|values| values.into_iter().next());
        let mut asked = ListQuery {
            id: one(filter.take_equal("id", 1)),
            of: one(filter.take_equal(of, 1)),
            states: filter.take_equal(state, MOST_STATES).unwrap_or_default(),
            whole: false,
        };
        let filter_on_rest = filter.asks_for(|name| attributes.excludes(name));
        asked.whole = filter_on_rest || selector.needs_rest(&attributes);
        Ok(Self {
            kind,
            attributes,
            filter,
            filter_on_rest,
            selector,
            query: asked,
        })
    }

    /// Adds an entry to a list, if it is wanted. True when it was.
    fn add(&self, list: &mut Vec<u8>, entry: &Listed, endpoint: &str) -> Result<bool, Problem> {
        let refused = |reason: String| Problem::new(400, reason);
        if self.filter.is_empty() && self.selector.is_as_stored() {
            self.splice(list, entry, endpoint)?;
            return Ok(true);
        }
        let head: Value = read(&entry.head)?;
        let on_head = |name: &str| !self.attributes.excludes(name);
        if !self.filter.matches_on(&head, on_head).map_err(refused)? {
            return Ok(false);
        }
        let rest = if self.query.whole {
            read(&entry.rest)?
        } else {
            Value::Null
        };
        if self.filter_on_rest {
            let on_rest = |name: &str| self.attributes.excludes(name);
            if !self.filter.matches_on(&rest, on_rest).map_err(refused)? {
                return Ok(false);
            }
        }
        if self.selector.is_as_stored() {
            self.splice(list, entry, endpoint)?;
            return Ok(true);
        }
        let Value::Object(mut whole) = head else {
            return Err(broken("it is no object"));
        };
        if let Value::Object(rest) = rest {
            whole.extend(rest);
        }
        let shown: Map<String, Value> = self.selector.of_entry(whole, &self.attributes);
        let shown = serde_json::to_string(&shown).map_err(|error| broken(&error.to_string()))?;
        append(list, &[&shown], &self.kind.links(endpoint, entry)?)?;
        Ok(true)
    }

    /// Adds an entry as it is stored.
    fn splice(&self, list: &mut Vec<u8>, entry: &Listed, endpoint: &str) -> Result<(), Problem> {
        let links = self.kind.links(endpoint, entry)?;
        if self.selector.needs_rest(&self.attributes) {
            append(list, &[&entry.head, &entry.rest], &links)
        } else {
            append(list, &[&entry.head], &links)
        }
    }
}

/// Writes one object of several and its links.
fn append(list: &mut Vec<u8>, objects: &[&str], links: &Links) -> Result<(), Problem> {
    list.push(b'{');
    for object in objects {
        let inner = object
            .trim()
            .strip_prefix('{')
            .and_then(|object| object.strip_suffix('}'))
            .ok_or_else(|| broken("it is no object"))?;
        if !inner.trim().is_empty() {
            list.extend_from_slice(inner.as_bytes());
            list.push(b',');
        }
    }
    list.extend_from_slice(b"\"_links\":");
    serde_json::to_writer(&mut *list, links).map_err(|error| broken(&error.to_string()))?;
    list.push(b'}');
    Ok(())
}

/// Answers a list. `page_size`: entries of a page; 0: the list has no pages.
pub(super) async fn list(vnf: &Vnf, kind: Kind, uri: &Uri, page_size: usize) -> Result<Response, Problem> {
    let parameters = query(uri)?;
    let wanted = Wanted::of(kind, &parameters)?;
    let (endpoint, most) = (vnf.options.endpoint.as_str(), vnf.options.max_content_length);
    let mut after = paging::marker(&parameters)?;
    let (mut text, mut shown) = (vec![b'['], 0_usize);
    let (mut last, mut more) = (None, false);
    let batch = if wanted.query.whole { WHOLE_BATCH } else { BATCH };
    'pages: loop {
        // Nothing is read that is not shown, where every entry is: one more says whether there is another page.
        let limit = match page_size {
            0 => batch,
            size if wanted.filter.is_empty() => size.saturating_sub(shown).saturating_add(1).min(batch),
            _ => batch,
        };
        let page = kind.page(vnf, &wanted.query, after.as_deref(), limit).await?;
        for entry in page.entries {
            let before = text.len();
            if shown > 0 {
                text.push(b',');
            }
            if !wanted.add(&mut text, &entry, endpoint)? {
                text.truncate(before);
                continue;
            }
            // With the bracket at the end.
            let too_big = text.len() >= most;
            if too_big && (page_size == 0 || shown == 0) {
                let detail = format!("the list has more than {most} bytes; a filter or a selector makes it shorter");
                return Err(Problem::titled(400, "Response too big", detail));
            }
            if page_size != 0 && (too_big || shown == page_size) {
                text.truncate(before);
                more = true;
                break 'pages;
            }
            shown += 1;
            last = Some(entry.id);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    text.push(b']');
    let response = text_of(StatusCode::OK, text);
    Ok(match last.filter(|_| more) {
        Some(last) => with_header(response, header::LINK, &paging::link(endpoint, uri, &last)),
        None => response,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry() -> Listed {
        Listed {
            id: "i1".to_owned(),
            head: json!({"id": "i1", "vnfdId": "d", "vnfInstanceName": "\"instantiationState\":\"INSTANTIATED\"",
                         "instantiationState": "NOT_INSTANTIATED"})
            .to_string(),
            rest: json!({"metadata": {"a": 1}, "extensions": {}}).to_string(),
        }
    }

    fn wanted(query: &str) -> Wanted {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        Wanted::of(Kind::Instances, &super::query(&uri).unwrap()).unwrap()
    }

    fn shown(query: &str) -> Option<Value> {
        let mut text = Vec::new();
        let added = wanted(query).add(&mut text, &entry(), "http://h").unwrap();
        added.then(|| serde_json::from_slice(&text).unwrap())
    }

    #[test]
    fn an_entry_is_spliced_from_its_texts_with_links_of_its_state() {
        let default = shown("").unwrap();
        assert!(default.get("metadata").is_none());
        assert_eq!(
            default["_links"]["instantiate"]["href"],
            "http://h/vnflcm/v2/vnf_instances/i1/instantiate"
        );
        assert_eq!(shown("all_fields").unwrap()["metadata"]["a"], 1);
        let chosen = shown("fields=metadata/a").unwrap();
        assert!(chosen.get("vnfInstanceName").is_none() && chosen["metadata"]["a"] == 1);
        assert!(chosen["_links"]["self"].is_object());
        let without = shown("exclude_fields=metadata").unwrap();
        assert!(without.get("metadata").is_none() && without["extensions"].is_object());
    }

    #[test]
    fn a_filter_is_asked_of_the_store_as_far_as_it_has_an_index() {
        let asked = wanted("filter=(eq,id,a);(eq,vnfdId,d);(in,instantiationState,X,Y)");
        assert!(asked.filter.is_empty());
        let states = vec!["X".to_owned(), "Y".to_owned()];
        assert_eq!(
            asked.query,
            ListQuery {
                id: Some("a".to_owned()),
                of: Some("d".to_owned()),
                states,
                whole: false
            }
        );
        let asked = wanted("filter=(eq,id,a)&filter=(eq,vnfdId,d)");
        assert_eq!(
            (asked.query.id.as_deref(), asked.query.of.as_deref()),
            (Some("a"), Some("d"))
        );
        let asked = wanted("filter=(in,id,a,b);(eq,metadata/a,1)");
        assert!(!asked.filter.is_empty() && asked.query.id.is_none() && asked.query.whole);
    }

    #[test]
    fn what_is_not_in_the_head_is_looked_for_in_the_rest() {
        assert!(shown("filter=(eq,metadata/a,1)").unwrap().get("metadata").is_none());
        assert!(shown("filter=(eq,metadata/a,2)").is_none());
        assert!(shown("filter=(eq,nothing,2)").is_none());
        assert!(shown("filter=(cont,vnfInstanceName,State)").is_some());
    }

    #[test]
    fn a_filter_or_selector_that_cannot_be_read_is_refused() {
        for query in [
            "filter=(is,id,a)",
            "filter=",
            "fields=nothing",
            "all_fields&exclude_default",
        ] {
            let uri: Uri = format!("/x?{query}").parse().unwrap();
            let pairs = super::query(&uri).unwrap();
            let refused = Wanted::of(Kind::OpOccs, &pairs).map(|_| ()).unwrap_err();
            assert_eq!(refused.status(), 400, "{query}");
        }
    }
}
