//! Plugins: what the host knows, and taking up others while it runs.

#![expect(unused_qualifications, reason = "written by the macro that describes handlers")]

use std::borrow::Cow;

use axum::extract::{Request, State};
use http::StatusCode;
use serde::Deserialize;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};
use vimhost_connector::{InstallError, PluginInfo};

use super::Admin;
use super::input::{Named, NoBody};
use super::output::{Answer, Listing};
use crate::body;
use crate::failure::Failure;

/// Longest name of a plugin's file.
const MAX_NAME: usize = 64;

/// The name of a plugin's file without its ending.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PluginName(String);

impl TryFrom<String> for PluginName {
    type Error = &'static str;
    /// Letters that are no path on any file system.
    fn try_from(text: String) -> Result<Self, &'static str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err("a plugin's name is 1 to 64 letters, digits, '-' and '_'")
        }
    }
}

impl PartialSchema for PluginName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[A-Za-z0-9_-]{1,64}$"))
            .into()
    }
}

impl ToSchema for PluginName {}

/// A WebAssembly component.
pub(super) struct Component;

impl PartialSchema for Component {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .content_media_type("application/wasm")
            .into()
    }
}

impl ToSchema for Component {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Component")
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let detail = error.to_string();
        match error {
            InstallError::Unusable(_) => Self::bad_request(detail),
            InstallError::Missing(_) => Self::not_found(format!("{detail}; upload it, or put it there")),
            InstallError::Host(_) => Self::unavailable(detail),
            InstallError::NotOffered => Self::new(StatusCode::NOT_IMPLEMENTED, "not-offered", detail),
        }
    }
}

fn is_named(info: &PluginInfo, name: &str) -> bool {
    let file = info.file.rsplit('/').next().unwrap_or(&info.file);
    let told = info.descriptor.as_ref().is_some_and(|told| told.name == name);
    told || file.strip_suffix(".wasm") == Some(name)
}

/// List plugins, usable or not
#[utoipa::path(get, path = "/v1/plugins", operation_id = "listPlugins", tag = "plugins",
    responses((status = OK, description = "Every plugin", body = Listing<PluginInfo>)))]
pub(super) async fn list(State(admin): State<Admin>) -> Answer<Listing<PluginInfo>> {
    Answer::ok(Listing {
        items: admin.engine.plugins(),
        next: None,
    })
}

/// Show what goes by a name: by the plugin's own, or by that of its file
///
/// More than one while a plugin is replaced, or when a file that failed stands beside the one that serves.
#[utoipa::path(get, path = "/v1/plugins/{name}", operation_id = "showPlugin", tag = "plugins",
    params(("name" = PluginName, Path, description = "Its name, or that of its file without the ending")),
    responses((status = OK, description = "State, digest, descriptor with credential and egress rules", body = Listing<PluginInfo>)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Named(PluginName(name)): Named<PluginName>,
) -> Result<Answer<Listing<PluginInfo>>, Failure> {
    let items: Vec<PluginInfo> = admin
        .engine
        .plugins()
        .into_iter()
        .filter(|info| is_named(info, &name))
        .collect();
    if items.is_empty() {
        return Err(Failure::not_found(format!("plugin '{name}' not found")));
    }
    Ok(Answer::ok(Listing { items, next: None }))
}

/// Load a plugin: upload its component into the plugin directory
///
/// It is verified before it replaces the one of its name; calls that run end on that one.
#[utoipa::path(put, path = "/v1/plugins/{name}", operation_id = "loadPlugin", tag = "plugins",
    params(("name" = PluginName, Path, description = "Name of its file without the ending")),
    request_body(content = Component, content_type = "application/octet-stream"),
    responses((status = OK, description = "It serves", body = PluginInfo)))]
pub(super) async fn load(
    State(admin): State<Admin>,
    Named(PluginName(name)): Named<PluginName>,
    request: Request,
) -> Result<Answer<PluginInfo>, Failure> {
    let (parts, component) = request.into_parts();
    let component = body::read(&parts.headers, component, admin.component_bytes).await?;
    Ok(Answer::ok(admin.engine.install_plugin(&name, component.into()).await?))
}

/// Reload a plugin from its file
#[utoipa::path(post, path = "/v1/plugins/{name}/reload", operation_id = "reloadPlugin", tag = "plugins",
    params(("name" = PluginName, Path, description = "Name of its file without the ending")),
    responses((status = OK, description = "It serves", body = Listing<PluginInfo>)))]
pub(super) async fn reload(
    State(admin): State<Admin>,
    Named(PluginName(name)): Named<PluginName>,
    _: NoBody,
) -> Result<Answer<Listing<PluginInfo>>, Failure> {
    let items = admin.engine.reload_plugins(Some(&name)).await?;
    Ok(Answer::ok(Listing { items, next: None }))
}

/// Take up every file of the plugin directory that is new or changed
#[utoipa::path(post, path = "/v1/plugins", operation_id = "reloadPlugins", tag = "plugins",
    responses((status = OK, description = "What is in the directory; what cannot be used says why", body = Listing<PluginInfo>)))]
pub(super) async fn reload_all(State(admin): State<Admin>, _: NoBody) -> Result<Answer<Listing<PluginInfo>>, Failure> {
    let items = admin.engine.reload_plugins(None).await?;
    Ok(Answer::ok(Listing { items, next: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        for name in ["mock", "open-stack_2", &"a".repeat(64)] {
            assert!(PluginName::try_from(name.to_owned()).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "../x", "a.b", "a b", "ä", &"a".repeat(65)] {
            assert!(PluginName::try_from(name.to_owned()).is_err(), "{name}");
        }
    }
}
