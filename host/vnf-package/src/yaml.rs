//! YAML of a package, read into JSON values under a budget.

use serde_json::Value;

/// Largest document, in bytes. The standard's own type definitions have some 100 KB.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 2 << 20;

/// Reads a document; the error says why it is none.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(format!(
            "it has {} bytes, at most {MAX_DOCUMENT_BYTES} are read",
            bytes.len()
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))?;
    // Of a repeated key the last counts, as for the Python programs such files are written for. Budgets against hostile documents are the
    // reader's own.
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.to_string();
        // The first line tells what and where; what follows is a picture of the document.
        text.lines().next().unwrap_or("it cannot be read").to_owned()
    })
}
