//! Answers that no host should believe.

use crate::exports::vimhost::connector::infrastructure::Found;

/// Many texts that are one text in memory: the answer is far larger than the guest.
pub fn aliased(count: usize, length: usize) -> Vec<String> {
    let text = Box::leak("x".repeat(length).into_boxed_str());
    let (start, length) = (text.as_mut_ptr(), text.len());
    (0..count)
        // The host stops reading long before anything frees one of these twice.
        .map(|_| unsafe { String::from_raw_parts(start, length, length) })
        .collect()
}

/// A list of elements that is wrong in one way.
pub fn found(how: &str) -> Vec<Found> {
    let found = |id: &str| Found {
        id: id.into(),
        name: None,
        status_text: None,
        details: "{}".into(),
    };
    match how {
        "empty-id" => vec![found("")],
        "control-id" => vec![found("net\n1\u{1b}[2J")],
        "long-id" => vec![found(&"i".repeat(10_000))],
        "long-text" => vec![Found {
            status_text: Some("s".repeat(1 << 20)),
            ..found("net-1")
        }],
        "many" => vec![found("net-1"); 50_000],
        "deep-json" => vec![Found {
            details: "[".repeat(100_000),
            ..found("net-1")
        }],
        other => panic!("unknown rubbish {other}"),
    }
}
