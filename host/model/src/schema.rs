//! Descriptions of the types that are texts on the outside, for the interfaces that describe themselves.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{Id, Kind, Secret, TargetId};

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

impl<K: Kind> PartialSchema for Id<K> {
    fn schema() -> RefOr<Schema> {
        text().min_length(Some(1)).max_length(Some(K::MAX)).into()
    }
}

impl<K: Kind> ToSchema for Id<K> {
    /// The name of the alias: `NsrId` for `Id<NsrKind>`.
    fn name() -> Cow<'static, str> {
        let kind = std::any::type_name::<K>();
        let kind = kind.rsplit("::").next().unwrap_or(kind);
        let kind = kind.trim_end_matches("Kind").trim_end_matches("Id");
        Cow::Owned(format!("{kind}Id"))
    }
}

impl PartialSchema for TargetId {
    fn schema() -> RefOr<Schema> {
        text().pattern(Some("^(vim|wim|sdn):.+$")).into()
    }
}

impl ToSchema for TargetId {}

impl PartialSchema for Secret {
    fn schema() -> RefOr<Schema> {
        text()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .write_only(Some(true))
            .into()
    }
}

impl ToSchema for Secret {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActionId, NsrId};

    #[test]
    fn each_kind_of_id_has_a_name_of_its_own() {
        assert_eq!((&*NsrId::name(), &*ActionId::name()), ("NsrId", "ActionId"));
    }
}
