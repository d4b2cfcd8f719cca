//! YAML of a package, read into JSON values under a budget.

use serde_json::Value;

/// Largest document, in bytes. The standard's own type definitions have some 100 KB.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 2 << 20;

/// Most bytes of the texts in a document, those that aliases repeat included. The reader's own bound is thirty times the largest document.
const MAX_TEXT_BYTES: usize = 2 * MAX_DOCUMENT_BYTES;

/// Reads a document; the error says why it is none.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(format!(
            "it has {} bytes, at most {MAX_DOCUMENT_BYTES} are read",
            bytes.len()
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))?;
    // Of a repeated key the last counts, as for the Python programs such files are written for. The other budgets against hostile documents
    // are the reader's own.
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        budget: serde_saphyr::budget! { max_total_scalar_bytes: MAX_TEXT_BYTES }
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.to_string();
        // The first line tells what and where; what follows is a picture of the document.
        text.lines().next().unwrap_or("it cannot be read").to_owned()
    })
}

/// What is left of what several documents may be together, in bytes of JSON: with what aliases repeat.
#[derive(Debug)]
pub(crate) struct Left(usize);

impl Left {
    /// At most so much.
    pub(crate) fn of(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Takes a value off; the error says that it is too much.
    pub(crate) fn take(&mut self, value: &Value) -> Result<(), String> {
        let bytes = value.to_string().len();
        self.0 = self
            .0
            .checked_sub(bytes)
            .ok_or_else(|| "with the documents before it, it is more than is read of a package".to_owned())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_do_not_make_much_of_little() {
        let mut text = format!("a0: &a0 {}\n", "x".repeat(1 << 20));
        for n in 0..8 {
            text.push_str(&format!("b{n}: *a0\n"));
        }
        assert!(read(text.as_bytes()).is_err());
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let before = format!("*a{}, ", n - 1).repeat(8);
            text.push_str(&format!("a{n}: &a{n} [{before}1]\n"));
        }
        assert!(read(text.as_bytes()).is_err());
    }

    #[test]
    fn documents_share_what_they_may_be_together() {
        let mut left = Left::of(10);
        assert_eq!(left.take(&Value::from("12345")), Ok(()));
        assert!(left.take(&Value::from("12345")).is_err());
        assert_eq!(left.take(&Value::from("1")), Ok(()));
    }
}
