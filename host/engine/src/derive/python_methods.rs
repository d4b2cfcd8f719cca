//! The methods of Python's texts and maps that templates of VNF packages call.
//!
//! Packages are written for NG-RO, whose templates run in Python and may call any method of a value. Those that only
//! read and are common in cloud-init are served here; the others are refused as unknown.
//!
//! The template engine's own filters that make a text as wide as they are told are bounded here too.

use std::fmt::Write as _;

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, filters};

/// Bytes that a method may make out of little: a padded or formatted text. Twice what a VIM takes as user data, like the bound on what is
/// printed in the end; a larger one would let a few letters of a template ask for all memory.
const MAX_MADE: usize = 128 * 1024;

/// Names of the template engine's own filters behind the bounded ones; no template can spell them.
const ENGINES_FORMAT: &str = "format (engine)";
const ENGINES_INDENT: &str = "indent (engine)";

/// Bounds the filters that make a text as wide as they are told.
pub(super) fn bound_filters(environment: &mut Environment<'_>) {
    environment.add_filter(ENGINES_FORMAT, filters::format);
    environment.add_filter(ENGINES_INDENT, filters::indent);
    environment.add_filter("format", format_filter);
    environment.add_filter("indent", indent_filter);
}

fn format_filter(state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let format = args.first().and_then(Value::as_str).unwrap_or_default();
    if asked_by(format) > MAX_MADE {
        return Err(too_much("filter format"));
    }
    state.apply_filter(ENGINES_FORMAT, &args)
}

/// Characters that the widths and precisions of a printf format ask for. The engine takes none of them from arguments (`*`).
fn asked_by(format: &str) -> usize {
    let mut asked: usize = 0;
    for field in format.split('%').skip(1) {
        let field = match field.strip_prefix('(') {
            Some(named) => named.split_once(')').map_or("", |(_, rest)| rest),
            None => field,
        };
        let is_of_size = |letter: char| matches!(letter, '0'..='9' | '#' | '-' | ' ' | '+' | '.');
        let size = field
            .split(|letter: char| !is_of_size(letter))
            .next()
            .unwrap_or_default();
        let numbers = size.split(|letter: char| !letter.is_ascii_digit());
        for number in numbers.filter(|number| !number.is_empty()) {
            asked = asked.saturating_add(number.parse().unwrap_or(usize::MAX));
        }
    }
    asked
}

fn indent_filter(state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let lines = args
        .first()
        .and_then(Value::as_str)
        .map_or(1, |text| text.split('\n').count());
    // By its place, or by its name in what is the last argument then.
    let by_name = || args.last().and_then(|named| named.get_attr("width").ok());
    let wide = args
        .get(1)
        .and_then(width)
        .or_else(|| by_name().as_ref().and_then(width));
    if wide.unwrap_or_default().saturating_mul(lines) > MAX_MADE {
        return Err(too_much("filter indent"));
    }
    state.apply_filter(ENGINES_INDENT, &args)
}

/// A number as a width: a negative one is none, one without end is too much.
fn width(value: &Value) -> Option<usize> {
    let width = |number: i64| usize::try_from(number.max(0)).unwrap_or(usize::MAX);
    (value.kind() == ValueKind::Number).then(|| value.as_i64().map_or(usize::MAX, width))
}

/// Calls a method that the template engine itself does not know.
pub(super) fn call(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    // Values of any other kind have no methods in templates.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "non-exhaustive, and all other kinds are treated alike"
    )]
    match value.kind() {
        ValueKind::String => text(state, value, method, args),
        ValueKind::Map => map(value, method, args),
        _ => Err(unknown(method)),
    }
}

fn text(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let text = value.as_str().unwrap_or_default();
    let first = args.first().and_then(Value::as_str);
    let strip: &[char] = &first.map_or_else(
        || vec![' ', '\t', '\n', '\r', '\x0b', '\x0c'],
        |set| set.chars().collect(),
    );
    Ok(match (method, args.len()) {
        ("strip", 0 | 1) => text.trim_matches(strip).into(),
        ("lstrip", 0 | 1) => text.trim_start_matches(strip).into(),
        ("rstrip", 0 | 1) => text.trim_end_matches(strip).into(),
        ("lower" | "upper" | "title" | "capitalize", 0) => state.apply_filter(method, std::slice::from_ref(value))?,
        ("split", 0) => text.split_whitespace().map(Value::from).collect(),
        ("split", 1) => match first.filter(|separator| !separator.is_empty()) {
            Some(separator) => text.split(separator).map(Value::from).collect(),
            None => return Err(unusable(method)),
        },
        ("splitlines", 0) => text.lines().map(Value::from).collect(),
        ("replace", 2) => {
            let arguments: Vec<Value> = std::iter::once(value).chain(args).cloned().collect();
            state.apply_filter("replace", &arguments)?
        }
        ("join", 1) => {
            let arguments: Vec<Value> = args.iter().chain(std::iter::once(value)).cloned().collect();
            state.apply_filter("join", &arguments)?
        }
        ("startswith" | "endswith", 1) => {
            let affix = first.ok_or_else(|| unusable(method))?;
            Value::from(if method == "startswith" {
                text.starts_with(affix)
            } else {
                text.ends_with(affix)
            })
        }
        ("count", 1) => Value::from(text.matches(first.ok_or_else(|| unusable(method))?).count()),
        ("find", 1) => {
            let found = text.find(first.ok_or_else(|| unusable(method))?);
            // Python counts characters.
            let place = found.and_then(|at| text.get(..at)).map(|before| before.chars().count());
            place.map_or_else(|| Value::from(-1), Value::from)
        }
        ("zfill", 1) => {
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => text.split_at(text.len() - digits.len()),
                None => ("", text),
            };
            Value::from(format!("{sign}{}{digits}", padding(method, text, args, '0')?))
        }
        ("ljust", 1 | 2) => Value::from(format!("{text}{}", padding(method, text, args, filler(method, args)?)?)),
        ("rjust", 1 | 2) => Value::from(format!("{}{text}", padding(method, text, args, filler(method, args)?)?)),
        ("format", _) => Value::from(formatted(text, args)?),
        ("isdigit", 0) => Value::from(!text.is_empty() && text.chars().all(|character| character.is_ascii_digit())),
        _ => return Err(unknown(method)),
    })
}

/// What has to be added to a text for the width that the first argument asks for.
fn padding(method: &str, text: &str, args: &[Value], fill: char) -> Result<String, Error> {
    let width = args.first().and_then(Value::as_i64).ok_or_else(|| {
        let detail = format!("method {method} needs a width");
        Error::new(ErrorKind::InvalidOperation, detail)
    })?;
    // A negative one is none, as in Python.
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(text.chars().count());
    if missing > MAX_MADE {
        return Err(too_much(&format!("method {method}")));
    }
    Ok(std::iter::repeat_n(fill, missing).collect())
}

/// What fills a text up: the second argument, or blanks.
fn filler(method: &str, args: &[Value]) -> Result<char, Error> {
    let Some(given) = args.get(1) else { return Ok(' ') };
    let mut letters = given.as_str().unwrap_or_default().chars();
    match (letters.next(), letters.next()) {
        (Some(fill), None) => Ok(fill),
        _ => Err(unusable(method)),
    }
}

/// Python's `format` with plain fields: `{}` one after the other, or `{0}` by number. Doubled braces stand for themselves.
fn formatted(text: &str, args: &[Value]) -> Result<String, Error> {
    let mut made = Limited(String::new());
    let mut rest = text;
    let mut next: usize = 0;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        made.write_str(before).map_err(|_| too_much("method format"))?;
        let doubled = [("{{", '{'), ("}}", '}')];
        let doubled = doubled
            .iter()
            .find_map(|(pair, brace)| Some((from.strip_prefix(*pair)?, *brace)));
        if let Some((after, brace)) = doubled {
            made.write_char(brace).map_err(|_| too_much("method format"))?;
            rest = after;
            continue;
        }
        let field = from.strip_prefix('{').and_then(|field| field.split_once('}'));
        let plain = field.filter(|(name, _)| name.chars().all(|character| character.is_ascii_digit()));
        let Some((name, after)) = plain else {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "method format takes plain fields only: {} or {0}",
            ));
        };
        let index = if name.is_empty() {
            Some(next)
        } else {
            name.parse::<usize>().ok()
        };
        next += 1;
        let value = index.and_then(|index| args.get(index)).ok_or_else(|| {
            let detail = "method format has fewer arguments than its text has fields";
            Error::new(ErrorKind::InvalidOperation, detail)
        })?;
        if value.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        write!(made, "{value}").map_err(|_| too_much("method format"))?;
        rest = after;
    }
    made.write_str(rest).map_err(|_| too_much("method format"))?;
    Ok(made.0)
}

/// A text that takes no more than [`MAX_MADE`].
struct Limited(String);

impl std::fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len().saturating_add(text.len()) > MAX_MADE {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn map(value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match (method, args) {
        ("keys", []) => value.try_iter()?.collect(),
        ("values", []) => value
            .try_iter()?
            .map(|key| value.get_item(&key))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        ("items", []) => {
            let pair = |key: Value| value.get_item(&key).map(|value| Value::from(vec![key, value]));
            value.try_iter()?.map(pair).collect::<Result<Vec<_>, _>>()?.into()
        }
        ("get", [key] | [key, _]) => {
            let found = value.get_item(key)?;
            match args.get(1) {
                Some(default) if found.is_undefined() => default.clone(),
                None if found.is_undefined() => Value::from(()),
                Some(_) | None => found,
            }
        }
        _ => return Err(unknown(method)),
    })
}

fn unknown(method: &str) -> Error {
    Error::new(
        ErrorKind::UnknownMethod,
        format!("method {method} with these arguments is not available"),
    )
}

fn too_much(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("{what} makes more than {MAX_MADE} bytes"),
    )
}

fn unusable(method: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("method {method} needs a text"))
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    fn evaluate(expression: &str) -> String {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(super::call);
        let variables = context! { s => " Ab,c ", d => context! { a => 1, b => "x" } };
        environment
            .render_str(&format!("{{{{ {expression} }}}}"), variables)
            .unwrap_or_else(|error| format!("error: {}", error.kind()))
    }

    #[test]
    fn methods_of_python_answer_as_in_python() {
        for (expression, wanted) in [
            ("s.strip()", "Ab,c"),
            ("s.strip().lower().upper()", "AB,C"),
            ("s.strip(' c')", "Ab,"),
            ("s.lstrip() ~ '|'", "Ab,c |"),
            ("s.rstrip() ~ '|'", " Ab,c|"),
            ("s.strip().split(',')", "['Ab', 'c']"),
            ("'a  b'.split()|length", "2"),
            ("'a\nb'.splitlines()|join('-')", "a-b"),
            ("s.strip().replace(',', ';')", "Ab;c"),
            ("'-'.join(['a', 'b'])", "a-b"),
            ("'10.0.0.1'.startswith('10.')", "True"),
            ("'10.0.0.1'.endswith('10.')", "False"),
            ("'12'.isdigit()", "True"),
            ("'7'.zfill(3)", "007"),
            ("'-7'.zfill(4) ~ '1234'.zfill(2) ~ '1'.zfill(-1)", "-00712341"),
            ("'a'.rjust(3) ~ '|' ~ 'a'.ljust(3, '.')", "  a|a.."),
            ("'abab'.count('ab')", "2"),
            ("'äbc'.find('c') ~ 'abc'.find('z')", "2-1"),
            ("'{}:{} {{}}'.format('a', 1)", "a:1 {}"),
            ("'{1}{0}'.format('a', true)", "Truea"),
            ("'{:>3}'.format(1)", "error: invalid operation"),
            ("'{'.format(1)", "error: invalid operation"),
            ("'{}{}'.format(1)", "error: invalid operation"),
            ("'7'.zfill('x')", "error: invalid operation"),
            ("'7'.rjust(9, 'ab')", "error: invalid operation"),
            ("'7'.zfill(999999999999)", "error: invalid operation"),
            ("'{}'.format(nobody)", "error: undefined value"),
            ("d.keys()|list", "['a', 'b']"),
            ("d.values()|list", "[1, 'x']"),
            ("d.items()|list", "[['a', 1], ['b', 'x']]"),
            ("d.get('a')", "1"),
            ("d.get('z')", "None"),
            ("d.get('z', 5)", "5"),
            ("s.encode()", "error: unknown method"),
            ("s.split('')", "error: invalid operation"),
        ] {
            assert_eq!(evaluate(expression), wanted, "{expression}");
        }
    }
}
