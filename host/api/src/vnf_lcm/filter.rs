//! Attribute-based filters (SOL013 5.2): `filter=(op,attr,value[,value…]);(…)`.
//!
//! All conditions have to hold. An attribute that is not there never matches; of a list any element counts, wherever on the path it is.
//! Values are compared as what is stored: instants as instants, numbers as numbers, truth values as truth values, the rest as text.

use std::cmp::Ordering;

use serde_json::Value;
use vimhost_model::date_time::parse_rfc3339;

/// Conditions of one filter.
const MAX_CONDITIONS: usize = 64;

/// Values of all conditions of one filter: each may be compared with each entry of a list.
const MAX_VALUES: usize = 1_000;

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Nin,
    Cont,
    Ncont,
}

impl Operator {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "in" => Self::In,
            "nin" => Self::Nin,
            "cont" => Self::Cont,
            "ncont" => Self::Ncont,
            _ => return None,
        })
    }

    fn takes_one_value(self) -> bool {
        match self {
            Self::Eq | Self::Neq | Self::Gt | Self::Gte | Self::Lt | Self::Lte => true,
            Self::In | Self::Nin | Self::Cont | Self::Ncont => false,
        }
    }
}

/// A step into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// The attribute of this name.
    Name(String),
    /// `@key`: the keys of the object themselves.
    Keys,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    operator: Operator,
    /// The first one always is a name.
    attribute: String,
    /// What follows it.
    steps: Vec<Step>,
    values: Vec<String>,
}

/// A filter that was read. The default matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    /// Reads a filter, percent-decoded. The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        filter.add(text)?;
        Ok(filter)
    }

    /// Reads another filter, which has to match too.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), String> {
        let mut rest = text;
        loop {
            let (condition, after) = Condition::parse(rest).map_err(|reason| format!("filter: {reason}"))?;
            self.conditions.push(condition);
            if self.conditions.len() > MAX_CONDITIONS {
                return Err(format!("filter: it has more than {MAX_CONDITIONS} conditions"));
            }
            let values: usize = self.conditions.iter().map(|condition| condition.values.len()).sum();
            if values > MAX_VALUES {
                return Err(format!("filter: it has more than {MAX_VALUES} values"));
            }
            if after.is_empty() {
                return Ok(());
            }
            rest = after
                .strip_prefix(';')
                .ok_or_else(|| "filter: conditions are joined by ';'".to_owned())?;
        }
    }

    /// Whether an object fulfils all conditions. The error names a value that cannot be compared with what is stored.
    pub(crate) fn matches(&self, object: &Value) -> Result<bool, String> {
        self.matches_on(object, |_| true)
    }

    /// The same for the conditions on certain attributes only.
    pub(super) fn matches_on(&self, object: &Value, concerns: impl Fn(&str) -> bool) -> Result<bool, String> {
        for condition in &self.conditions {
            if concerns(&condition.attribute) && !condition.matches(object)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Nothing is asked.
    pub(super) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether any condition is on an attribute of which `which` is true.
    pub(super) fn asks_for(&self, which: impl Fn(&str) -> bool) -> bool {
        self.conditions.iter().any(|condition| which(&condition.attribute))
    }

    /// Takes out the first condition that an attribute is one of some values, and answers them. At most `most` values, since not every
    /// index can be asked for several.
    pub(super) fn take_equal(&mut self, attribute: &str, most: usize) -> Option<Vec<String>> {
        let place = self.conditions.iter().position(|condition| {
            matches!(condition.operator, Operator::Eq | Operator::In)
                && condition.attribute == attribute
                && condition.steps.is_empty()
                && condition.values.len() <= most
        })?;
        Some(self.conditions.remove(place).values)
    }
}

impl Condition {
    /// Reads one condition and answers what follows it.
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let inner = text
            .strip_prefix('(')
            .ok_or("a condition is written '(op,attribute,value)'")?;
        let (word, inner) = inner
            .split_once(',')
            .ok_or("a condition has an operator and an attribute")?;
        let operator = Operator::parse(word).ok_or_else(|| {
            format!("'{word}' is no operator; there are eq, neq, gt, gte, lt, lte, in, nin, cont, ncont")
        })?;
        let (name, mut rest) = inner
            .split_once(',')
            .filter(|(name, _)| !name.contains(')'))
            .ok_or_else(|| format!("'{word}' needs an attribute and a value"))?;
        let mut steps = path(name)?.into_iter();
        let Some(Step::Name(attribute)) = steps.next() else {
            return Err(format!("'{name}' is no attribute"));
        };
        let mut values = Vec::new();
        loop {
            let (value, after) = value(rest)?;
            values.push(value);
            if let Some(next) = after.strip_prefix(',') {
                rest = next;
                continue;
            }
            let after = after.strip_prefix(')').ok_or("a condition ends with ')'")?;
            if operator.takes_one_value() && values.len() > 1 {
                return Err(format!("'{word}' takes one value"));
            }
            let condition = Self {
                operator,
                attribute,
                steps: steps.collect(),
                values,
            };
            return Ok((condition, after));
        }
    }

    fn matches(&self, object: &Value) -> Result<bool, String> {
        let Some(found) = object.get(&self.attribute) else {
            return Ok(false);
        };
        self.any(found, &self.steps)
    }

    /// Whether any value at the end of the steps fulfils the condition.
    fn any(&self, value: &Value, steps: &[Step]) -> Result<bool, String> {
        if let Value::Array(list) = value {
            for element in list {
                if self.any(element, steps)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        match steps.split_first() {
            None => self.holds(value),
            Some((Step::Name(name), further)) => match value.get(name) {
                Some(found) => self.any(found, further),
                None => Ok(false),
            },
            Some((Step::Keys, _)) => {
                let Value::Object(map) = value else { return Ok(false) };
                for key in map.keys() {
                    if self.holds_text(key) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// Whether a single value fulfils the condition.
    fn holds(&self, stored: &Value) -> Result<bool, String> {
        match stored {
            Value::Null | Value::Object(_) | Value::Array(_) => Ok(false),
            Value::String(text) => Ok(self.holds_text(text)),
            Value::Bool(stored) => self.decide(
                |given| match given {
                    "true" => Ok(stored.cmp(&true)),
                    "false" => Ok(stored.cmp(&false)),
                    other => Err(format!("filter: '{other}' is neither true nor false")),
                },
                &stored.to_string(),
            ),
            Value::Number(stored) => self.decide(
                |given| {
                    let order = match (stored.as_i64(), given.parse::<i64>()) {
                        (Some(stored), Ok(given)) => Some(stored.cmp(&given)),
                        _ => stored
                            .as_f64()
                            .zip(given.parse::<f64>().ok())
                            .and_then(|(stored, given)| stored.partial_cmp(&given)),
                    };
                    order.ok_or_else(|| format!("filter: '{given}' is no number"))
                },
                &stored.to_string(),
            ),
        }
    }

    fn holds_text(&self, stored: &str) -> bool {
        let instant = parse_rfc3339(stored);
        let order = |given: &str| match (instant, parse_rfc3339(given)) {
            (Some(stored), Some(given)) => Ok(stored.cmp(&given)),
            _ => Ok(stored.cmp(given)),
        };
        // Texts can always be compared.
        self.decide(order, stored).unwrap_or(false)
    }

    /// The operator, given how the stored value stands to a given one, and as what text it is stored.
    fn decide(&self, order: impl Fn(&str) -> Result<Ordering, String>, text: &str) -> Result<bool, String> {
        let any_equal = || -> Result<bool, String> {
            let mut equal = false;
            for value in &self.values {
                equal |= order(value)? == Ordering::Equal;
            }
            Ok(equal)
        };
        let one = || match self.values.first() {
            Some(value) => order(value),
            None => Err("filter: a value is missing".to_owned()),
        };
        let contained = || self.values.iter().any(|value| text.contains(value.as_str()));
        Ok(match self.operator {
            Operator::Eq => one()?.is_eq(),
            Operator::Neq => one()?.is_ne(),
            Operator::Gt => one()?.is_gt(),
            Operator::Gte => one()?.is_ge(),
            Operator::Lt => one()?.is_lt(),
            Operator::Lte => one()?.is_le(),
            Operator::In => any_equal()?,
            Operator::Nin => !any_equal()?,
            Operator::Cont => contained(),
            Operator::Ncont => !contained(),
        })
    }
}

/// One value, and what follows it. With a comma, a parenthesis or a quote in it, it stands in single quotes, a quote doubled.
fn value(text: &str) -> Result<(String, &str), String> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find([',', ')']).ok_or("a condition ends with ')'")?;
        let (value, after) = text.split_at(end);
        if value.is_empty() {
            return Err("a value is empty; an empty text is written ''".to_owned());
        }
        if value.contains('\'') {
            return Err("a value with a quote stands in quotes".to_owned());
        }
        return Ok((value.to_owned(), after));
    };
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('\'').ok_or("a quoted value does not end")?;
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(next) => {
                value.push('\'');
                rest = next;
            }
            None => return Ok((value, after)),
        }
    }
}

/// The steps of an attribute's path.
fn path(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for part in text.split('/') {
        if steps.last() == Some(&Step::Keys) {
            return Err("nothing follows '@key'".to_owned());
        }
        steps.push(match part {
            "@key" => Step::Keys,
            part => Step::Name(unescaped(part)?),
        });
    }
    Ok(steps)
}

/// The names of a path, for selectors.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    text.split('/').map(unescaped).collect()
}

/// An entry of a path: `~1` is `/`, `~a` is `,`, `~b` is `@`, `~0` is `~`.
fn unescaped(part: &str) -> Result<String, String> {
    if part.is_empty() {
        return Err("the name of an attribute is empty".to_owned());
    }
    let mut name = String::with_capacity(part.len());
    let mut letters = part.chars();
    while let Some(letter) = letters.next() {
        name.push(match letter {
            '~' => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                Some('a') => ',',
                Some('b') => '@',
                _ => return Err(format!("'{part}' has a '~' before none of 0, 1, a, b")),
            },
            '@' => return Err(format!("'{part}': '@' is written ~b unless the keys (@key) are meant")),
            letter => letter,
        });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object() -> Value {
        json!({
            "id": "a", "name": "Bob's, (1)", "empty": "", "count": 3, "share": 0.5, "on": true, "none": null,
            "at": "2026-05-01T10:00:00.000Z",
            "metadata": {"a/b": "slash", "x,y": "comma", "user@host": "at", "t~": "tilde", "stack": {"id": 7}},
            "list": [{"kind": "x", "ids": [1, 2]}, {"kind": "y", "ids": [3]}],
            "words": ["red", "green"],
        })
    }

    #[track_caller]
    fn matches(text: &str) -> bool {
        Filter::parse(text).unwrap().matches(&object()).unwrap()
    }

    #[test]
    fn each_operator_compares_as_its_name_says() {
        for (text, expected) in [
            ("(eq,id,a)", true),
            ("(eq,id,b)", false),
            ("(neq,id,b)", true),
            ("(neq,id,a)", false),
            ("(gt,count,2)", true),
            ("(gt,count,3)", false),
            ("(gte,count,3)", true),
            ("(gte,count,4)", false),
            ("(lt,count,4)", true),
            ("(lt,count,3)", false),
            ("(lte,count,3)", true),
            ("(lte,count,2)", false),
            ("(in,id,x,a)", true),
            ("(in,id,x,y)", false),
            ("(nin,id,x,y)", true),
            ("(nin,id,x,a)", false),
            ("(cont,words,ree)", true),
            ("(cont,id,x,a)", true),
            ("(cont,id,x)", false),
            ("(ncont,id,x,y)", true),
            ("(ncont,id,x,a)", false),
        ] {
            assert_eq!(matches(text), expected, "{text}");
        }
    }

    #[test]
    fn values_follow_what_is_stored() {
        for (text, expected) in [
            ("(eq,count,3.0)", true),
            ("(eq,share,0.5)", true),
            ("(gt,count,10)", false),
            ("(eq,on,true)", true),
            ("(neq,on,false)", true),
            ("(eq,at,2026-05-01T12:00:00+02:00)", true),
            ("(gt,at,2026-05-01T11:59:59+02:00)", true),
            ("(lt,at,2026-05-01T09:59:59Z)", false),
            ("(cont,at,2026-05)", true),
            ("(eq,none,null)", false),
        ] {
            assert_eq!(matches(text), expected, "{text}");
        }
        for text in ["(eq,on,yes)", "(eq,count,three)", "(in,count,1,x)"] {
            let filter = Filter::parse(text).unwrap();
            assert!(filter.matches(&object()).is_err(), "{text}");
        }
    }

    #[test]
    fn quotes_hold_what_would_end_a_value() {
        assert!(matches("(eq,name,'Bob''s, (1)')"));
        assert!(matches("(in,name,x,'Bob''s, (1)')"));
        assert!(matches("(eq,empty,'')"));
        assert!(matches("(eq,id,a);(cont,name,'(1)')"));
        assert!(matches("(neq,id,a;b)"));
    }

    #[test]
    fn paths_have_escapes_keys_and_lists() {
        for (text, expected) in [
            ("(eq,metadata/a~1b,slash)", true),
            ("(eq,metadata/x~ay,comma)", true),
            ("(eq,metadata/user~bhost,at)", true),
            ("(eq,metadata/t~0,tilde)", true),
            ("(eq,metadata/stack/id,7)", true),
            ("(eq,metadata/@key,stack)", true),
            ("(in,metadata/@key,none,user@host)", true),
            ("(eq,metadata/@key,none)", false),
            ("(eq,list/kind,y)", true),
            ("(eq,list/ids,3)", true),
            ("(eq,list/ids,4)", false),
            ("(eq,words,green)", true),
        ] {
            assert_eq!(matches(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_never_matches() {
        for text in [
            "(eq,nothing,1)",
            "(neq,nothing,1)",
            "(nin,nothing,1)",
            "(ncont,nothing,1)",
            "(neq,metadata/nothing,1)",
            "(neq,metadata,1)",
            "(neq,id/deeper,1)",
        ] {
            assert!(!matches(text), "{text}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for text in [
            "",
            "id",
            "(eq,id,a",
            "(eq,id)",
            "(eq)",
            "()",
            "(is,id,a)",
            "(eq,id,a,b)",
            "(gt,count,1,2)",
            "(eq,id,)",
            "(eq,,a)",
            "(eq,id,a);",
            "(eq,id,a)(eq,id,b)",
            "(eq,id,a) ",
            "(eq,id,'a)",
            "(eq,id,a'b)",
            "(eq,a~2,x)",
            "(eq,a~,x)",
            "(eq,a@b,x)",
            "(eq,@key,x)",
            "(eq,a/@key/b,x)",
            "(eq,a//b,x)",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        let many = vec!["(eq,id,a)"; MAX_CONDITIONS + 1].join(";");
        assert!(Filter::parse(&many).unwrap_err().contains("64"));
        let values = ["x"; MAX_VALUES].join(",");
        assert!(Filter::parse(&format!("(in,id,{values})")).is_ok());
        for text in [format!("(in,id,{values},x)"), format!("(in,id,{values});(eq,id,x)")] {
            assert!(Filter::parse(&text).unwrap_err().contains("values"));
        }
    }

    #[test]
    fn no_text_makes_more_than_a_refusal() {
        let whole = "(eq,a/~1b/@key,'x''\u{fc}');(in,list/kind,1,\u{1f600});(gt,at,2026-05-01T10:00:00+02:00)";
        let letters: Vec<char> = whole.chars().collect();
        for at in 0..letters.len() {
            for other in ['(', ')', ',', '\'', ';', '~', '@', '/', '\u{0}', '\u{fc}'] {
                let mut text = letters.clone();
                text[at] = other;
                for text in [&text[..], &text[..at], &text[at..]] {
                    let text: String = text.iter().collect();
                    if let Ok(filter) = Filter::parse(&text) {
                        let _whatever = filter.matches(&object());
                    }
                }
            }
        }
        // As deep as the head of a request is long.
        let deep = format!("(eq,{}a,x)", "a/".repeat(16_000));
        assert_eq!(
            Filter::parse(&deep).unwrap().matches(&json!({"a": {"a": [1]}})),
            Ok(false)
        );
    }

    #[test]
    fn what_an_index_answers_is_taken_out() {
        let mut filter = Filter::parse("(eq,id,a);(in,state,X,Y);(eq,id,b);(eq,metadata/id,c)").unwrap();
        assert_eq!(filter.take_equal("id", 1), Some(vec!["a".to_owned()]));
        assert_eq!(filter.take_equal("state", 1), None);
        assert_eq!(filter.take_equal("state", 9).unwrap().len(), 2);
        assert!(filter.asks_for(|name| name == "id") && !filter.asks_for(|name| name == "state"));
        assert_eq!(filter.take_equal("metadata", 9), None);
        assert!(!filter.is_empty());
    }
}
