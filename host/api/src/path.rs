//! Ids as path segments.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What an id keeps as it is; everything else, slashes first, is encoded.
const ID: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// An id as a path segment, for `Location`.
pub(crate) fn encoded(id: &str) -> String {
    utf8_percent_encode(id, ID).to_string()
}
