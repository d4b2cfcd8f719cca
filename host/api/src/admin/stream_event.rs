//! How the description of the interface shows an event of a stream.

use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

/// An event of a stream, as a client takes it apart. Its data is JSON in a text.
pub(super) struct StreamEvent;

impl PartialSchema for StreamEvent {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        ObjectBuilder::new()
            .description(Some(
                "An event of a stream, as a client takes it apart. Its data is JSON in a text.",
            ))
            .property("event", text())
            .property("data", text())
            .property("id", text())
            .into()
    }
}

impl ToSchema for StreamEvent {}
