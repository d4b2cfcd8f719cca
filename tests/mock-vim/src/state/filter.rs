//! What a listing is asked for.

use crate::elements::Element;
use crate::refusal::Refusal;

/// The largest and the default page. A page of a thousand servers is about a megabyte, which no client finds too long.
pub(crate) const PAGE_LIMIT: usize = 1000;

/// The parsed query of a listing. A parameter given several times means any of its values; different ones must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) ids: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) tokens: Vec<String>,
    pub(crate) token_prefixes: Vec<String>,
    own: Vec<(&'static str, Vec<String>)>,
    pub(crate) limit: usize,
    pub(crate) after: u64,
}

impl Filter {
    /// Understands the common parameters and those of `T`; others are an error, because a filter that is ignored looks
    /// like one that matched.
    pub(crate) fn parse<T: Element>(query: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut filter = Self {
            ids: Vec::new(),
            names: Vec::new(),
            tokens: Vec::new(),
            token_prefixes: Vec::new(),
            own: T::FILTERS.iter().map(|name| (*name, Vec::new())).collect(),
            limit: PAGE_LIMIT,
            after: 0,
        };
        for (name, value) in query {
            match name.as_str() {
                "id" => filter.ids.push(value),
                "name" => filter.names.push(value),
                "token" => filter.tokens.push(value),
                "token_prefix" => filter.token_prefixes.push(value),
                "limit" => filter.limit = limit(&value)?,
                "after" => {
                    filter.after = value
                        .parse()
                        .map_err(|_| bad(format!("after={value} is no `next` of a listing")))?;
                }
                other => match filter.own.iter_mut().find(|(own, _)| *own == other) {
                    Some((_, values)) => values.push(value),
                    None => return Err(bad(format!("{}: no filter {other}", T::KIND))),
                },
            }
        }
        Ok(filter)
    }

    /// Whether an element fits all but the ids.
    pub(crate) fn matches<T: Element>(&self, item: &T) -> bool {
        let meta = item.meta();
        let any = |values: &[String], value: &str| values.is_empty() || values.iter().any(|wanted| wanted == value);
        let token = |check: &dyn Fn(&str) -> bool| meta.token.as_deref().is_some_and(check);
        // Ids are not compared: a table finds them by its index, and hundreds of them would be compared with each other.
        any(&self.names, &meta.name)
            && (self.tokens.is_empty() || token(&|token| any(&self.tokens, token)))
            && (self.token_prefixes.is_empty()
                || token(&|token| self.token_prefixes.iter().any(|prefix| token.starts_with(prefix))))
            && self
                .own
                .iter()
                .all(|(name, values)| values.is_empty() || item.field(name).is_some_and(|value| any(values, value)))
    }
}

/// A page size between 1 and [`PAGE_LIMIT`].
pub(crate) fn limit(value: &str) -> Result<usize, Refusal> {
    match value.parse() {
        Ok(limit @ 1..=PAGE_LIMIT) => Ok(limit),
        _ => Err(bad(format!("limit={value} is not between 1 and {PAGE_LIMIT}"))),
    }
}

fn bad(message: String) -> Refusal {
    Refusal::BadRequest(message)
}
