//! The methods of Python's texts and maps that templates of VNF packages call.
//!
//! Packages are written for NG-RO, whose templates run in Python and may call any method of a value. Those that only
//! read and are common in cloud-init are served here; the others are refused as unknown.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

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
        ("isdigit", 0) => Value::from(!text.is_empty() && text.chars().all(|character| character.is_ascii_digit())),
        _ => return Err(unknown(method)),
    })
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
