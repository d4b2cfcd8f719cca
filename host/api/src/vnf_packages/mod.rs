//! `/vnfpkgm/v1`: VNF packages (SOL005 clause 9) as OpenStack Tacker serves them, so that `openstack vnf package …` works unchanged.
//!
//! An upload is answered 202 once the archive was read. What it was refused for stands in the package (`onboardingFailureDetails`), as
//! with Tacker, whose clients look there.

mod range;
mod selector;
mod view;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use vimhost_model::VnfPkgId;
use vimhost_model::vnf::PackageOperationalState;
use vimhost_vnf_package::{Error, MAX_ARCHIVE_BYTES, PackageModification, VnfdContent};

use crate::body;
use crate::failure::{Cause, Failure};
use crate::vnf_lcm::Shared;
use crate::vnf_lcm::answer;
use crate::vnf_lcm::body::read_json;
use crate::vnf_lcm::filter::Filter;
use crate::vnf_lcm::problem::Problem;
use crate::vnf_lcm::selector::Selector;
use range::Wanted;
pub(crate) use selector::ATTRIBUTES;

/// Packages read from the store at a time for a list. Each comes with its VNFD and templates.
const PAGE: usize = 10;

const ZIP: &str = "application/zip";

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(detail) => Self::new(404, detail),
            Error::Conflict(detail) => Self::new(409, detail),
            Error::NotAcceptable(detail) => Self::new(406, detail),
            error @ Error::UserData => Self::new(400, error.to_string()),
            error @ Error::TooLarge => Self::new(413, error.to_string()),
            Error::Store(vimhost_store::Error::Unavailable { .. }) => {
                Self::from(Failure::unavailable("the store is not available; try again"))
            }
            error @ (Error::Internal(_) | Error::Store(_)) => Self::from(Failure::internal(Cause {
                chain: std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                error: error.to_string(),
            })),
        }
    }
}

/// An id of a path. What is no id is an id of nothing.
fn id_of(text: &str) -> Result<VnfPkgId, Problem> {
    text.parse()
        .map_err(|_| Problem::new(404, format!("there is no VNF package {text:?}")))
}

/// What a client says of a package that it creates.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateVnfPkgInfoRequest)]
struct CreateRequest {
    /// Whatever the client wants to keep with it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    user_defined_data: Option<Map<String, Value>>,
}

/// Create a package that something is to be uploaded to
#[utoipa::path(post, path = "/vnfpkgm/v1/vnf_packages", operation_id = "createPackage", tag = "VNF packages",
    request_body = CreateRequest,
    responses((status = CREATED, description = "It is there", body = ref("#/components/schemas/VnfPkgInfo"), headers(("Location" = String, description = "The package")))))]
pub(crate) async fn create(State(vnf): State<Shared>, request: Request) -> Result<Response, Problem> {
    let asked: CreateRequest = read_json(request, vnf.options.limits).await?;
    let view = vnf.packages.create(asked.user_defined_data.unwrap_or_default()).await?;
    let location = format!("{}{}", vnf.options.endpoint, view::path_of(&view.package));
    Ok(answer::created(location, &view::info(&view)))
}

/// List packages
#[utoipa::path(get, path = "/vnfpkgm/v1/vnf_packages", operation_id = "listPackages", tag = "VNF packages",
    responses((status = OK, description = "Those the filter admits, as the selector says", body = ref("#/components/schemas/VnfPkgInfoList"))))]
pub(crate) async fn list(State(vnf): State<Shared>, uri: Uri) -> Result<Response, Problem> {
    let Query(query) =
        Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|error| Problem::new(400, error.to_string()))?;
    let selector = Selector::of(&query, &ATTRIBUTES).map_err(|reason| Problem::new(400, reason))?;
    let filters = query
        .iter()
        .filter(|(key, _)| key == "filter")
        .map(|(_, text)| Filter::parse(text).map_err(|reason| Problem::new(400, reason)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut shown = Vec::new();
    let mut bytes = 0_usize;
    let mut after: Option<String> = None;
    loop {
        let page = vnf.packages.list(after.as_deref(), PAGE).await?;
        for view in &page.entries {
            let info = Value::Object(view::info(view));
            let mut wanted = true;
            for filter in &filters {
                wanted = wanted && filter.matches(&info).map_err(|reason| Problem::new(400, reason))?;
            }
            let Value::Object(info) = info else { continue };
            if wanted {
                let entry = Value::Object(selector.of_entry(info, &ATTRIBUTES));
                bytes = bytes.saturating_add(entry.to_string().len()).saturating_add(1);
                shown.push(entry);
            }
        }
        if bytes > vnf.options.max_content_length {
            return Err(Problem::titled(
                400,
                "Response too big",
                format!(
                    "the list has more than {} bytes: narrow it with a filter or a selector",
                    vnf.options.max_content_length
                ),
            ));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(answer::json(StatusCode::OK, &shown))
}

/// Show a package
#[utoipa::path(get, path = "/vnfpkgm/v1/vnf_packages/{id}", operation_id = "showPackage", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package")),
    responses((status = OK, description = "All of it", body = ref("#/components/schemas/VnfPkgInfo"))))]
pub(crate) async fn show(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let view = vnf.packages.show(&id_of(&id)?).await?;
    Ok(answer::json(StatusCode::OK, &view::info(&view)))
}

/// What is to change of a package: at least one of the two.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = VnfPkgInfoModifications)]
struct UpdateRequest {
    /// Whether instances may be made of it.
    #[serde(default)]
    operational_state: Option<PackageOperationalState>,
    /// Added to what is kept with it; null removes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    user_defined_data: Option<Map<String, Value>>,
}

/// Enable or disable a package, or change what its client said of it
#[utoipa::path(patch, path = "/vnfpkgm/v1/vnf_packages/{id}", operation_id = "updatePackage", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package")),
    request_body(content((UpdateRequest = "application/merge-patch+json"), (UpdateRequest = "application/json"))),
    responses((status = OK, description = "What was changed", body = UpdateRequest)))]
pub(crate) async fn update(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let asked: UpdateRequest = read_json(request, vnf.options.limits).await?;
    if asked.operational_state.is_none() && asked.user_defined_data.is_none() {
        return Err(Problem::new(
            400,
            "neither operationalState nor userDefinedData is there",
        ));
    }
    let mut changed = Map::new();
    if let Some(state) = asked.operational_state {
        changed.insert("operationalState".to_owned(), serde_json::json!(state));
    }
    if let Some(data) = &asked.user_defined_data {
        changed.insert("userDefinedData".to_owned(), Value::Object(data.clone()));
    }
    let change = PackageModification {
        operational_state: asked.operational_state,
        user_defined_data: asked.user_defined_data,
    };
    vnf.packages.update(&id, change).await?;
    Ok(answer::json(StatusCode::OK, &changed))
}

/// Delete a package that is disabled and not in use
#[utoipa::path(delete, path = "/vnfpkgm/v1/vnf_packages/{id}", operation_id = "deletePackage", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package")),
    responses((status = NO_CONTENT, description = "It is gone")))]
pub(crate) async fn delete(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.packages.delete(&id_of(&id)?).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Upload the archive of a package
#[utoipa::path(put, path = "/vnfpkgm/v1/vnf_packages/{id}/package_content", operation_id = "uploadPackage", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package")),
    request_body(content = ref("#/components/schemas/Archive"), content_type = "application/zip"),
    responses((status = ACCEPTED, description = "It was read; what was wrong with it stands in `onboardingFailureDetails`")))]
pub(crate) async fn upload(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let (parts, content) = request.into_parts();
    if !is_zip(&parts.headers) {
        return Err(Problem::new(
            415,
            "the body of an upload is a zip archive: Content-Type: application/zip",
        ));
    }
    // A client that sends a byte now and then would keep its package, and one of the few places for uploads, for as long as it likes.
    let receive = async {
        let read = body::read(&parts.headers, content, MAX_ARCHIVE_BYTES);
        match tokio::time::timeout(vnf.options.limits.time, read).await {
            Ok(read) => read.map_err(Problem::from),
            Err(_) => Err(Problem::new(408, "the archive did not come in time")),
        }
    };
    vnf.packages.upload(&id, receive).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

fn is_zip(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|text| text.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(ZIP) || kind.eq_ignore_ascii_case("application/x-zip-compressed")
}

/// Refuse to fetch an archive: it is uploaded
#[utoipa::path(post, path = "/vnfpkgm/v1/vnf_packages/{id}/package_content/upload_from_uri", operation_id = "uploadPackageFromUri", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package")),
    responses((status = BAD_REQUEST, description = "Nothing is fetched from where a client says", body = ref("#/components/schemas/ProblemDetails"), content_type = "application/problem+json")))]
pub(crate) async fn upload_from_uri(State(vnf): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    vnf.packages.show(&id_of(&id)?).await?;
    Err(Problem::titled(
        400,
        "Upload from URI is not supported",
        "vimhost fetches nothing from addresses that a client names: upload the archive itself with PUT package_content",
    ))
}

/// Bytes of a type.
fn bytes_answer(status: StatusCode, kind: &'static str, content: Bytes) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
    (status, kind, Body::from(content)).into_response()
}

/// Fetch the archive of a package
#[utoipa::path(get, path = "/vnfpkgm/v1/vnf_packages/{id}/package_content", operation_id = "showPackageContent", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package"),
        ("Range" = Option<String>, Header, description = "A part of it: `bytes=0-99`", pattern = "^bytes=[0-9]*-[0-9]*$")),
    responses((status = OK, description = "All of it", body = ref("#/components/schemas/Archive"), content_type = "application/zip"),
        (status = PARTIAL_CONTENT, description = "The part", body = ref("#/components/schemas/Archive"), content_type = "application/zip",
            headers(("Content-Range" = String, description = "Which part of how much")))))]
pub(crate) async fn content(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let content = vnf.packages.content(&id_of(&id)?).await?;
    let asked = headers.get(header::RANGE).and_then(|text| text.to_str().ok());
    let length = content.len();
    match range::wanted(asked, length) {
        Wanted::Whole => Ok(bytes_answer(StatusCode::OK, ZIP, content)),
        Wanted::Part(part) => {
            let told = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
            let mut response = bytes_answer(StatusCode::PARTIAL_CONTENT, ZIP, content.slice(part));
            if let Ok(told) = HeaderValue::from_str(&told) {
                response.headers_mut().insert(header::CONTENT_RANGE, told);
            }
            Ok(response)
        }
        Wanted::Beyond => {
            let problem = Problem::new(416, format!("the archive has {length} bytes"));
            Err(match HeaderValue::from_str(&format!("bytes */{length}")) {
                Ok(told) => problem.with_header(header::CONTENT_RANGE, told),
                Err(_) => problem,
            })
        }
    }
}

/// The forms of a VNFD that a client takes: zip, plain.
fn forms(headers: &HeaderMap) -> (bool, bool) {
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    if accepted.peek().is_none() {
        return (true, true);
    }
    let (mut zip, mut plain) = (false, false);
    for list in accepted.filter_map(|text| text.to_str().ok()) {
        for kind in list.split(',') {
            match kind.split(';').next().unwrap_or_default().trim() {
                "*/*" => (zip, plain) = (true, true),
                "application/zip" | "application/*" => zip = true,
                "text/plain" | "text/*" => plain = true,
                _ => {}
            }
        }
    }
    (zip, plain)
}

/// Fetch the VNFD of a package
#[utoipa::path(get, path = "/vnfpkgm/v1/vnf_packages/{id}/vnfd", operation_id = "showVnfd", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package")),
    responses((status = OK, description = "Plain when it is one document and `Accept` admits it, or else an archive",
            content((String = "text/plain"), (ref("#/components/schemas/Archive") = "application/zip")))))]
pub(crate) async fn vnfd(
    State(vnf): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let (zip, plain) = forms(&headers);
    if !zip && !plain {
        return Err(Problem::new(406, "a VNFD is text/plain or application/zip"));
    }
    let content = match vnf.packages.vnfd(&id, !plain).await {
        // Several documents are no text, but the client takes an archive too.
        Err(Error::NotAcceptable(_)) if zip => vnf.packages.vnfd(&id, true).await?,
        other => other?,
    };
    Ok(match content {
        VnfdContent::Yaml(text) => bytes_answer(StatusCode::OK, "text/plain", text),
        VnfdContent::Zip(archive) => bytes_answer(StatusCode::OK, ZIP, archive),
    })
}

/// Fetch a file of a package
#[utoipa::path(get, path = "/vnfpkgm/v1/vnf_packages/{id}/artifacts/{path}", operation_id = "showArtifact", tag = "VNF packages",
    params(("id" = VnfPkgId, Path, description = "Id of the package"),
        ("path" = String, Path, description = "Its path in the archive", min_length = 1)),
    responses((status = OK, description = "The file", body = ref("#/components/schemas/Artifact"), content_type = "application/octet-stream")))]
pub(crate) async fn artifact(
    State(vnf): State<Shared>,
    Path((id, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let file = vnf.packages.artifact(&id_of(&id)?, &path).await?;
    Ok(bytes_answer(StatusCode::OK, "application/octet-stream", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(text))])
    }

    #[test]
    fn a_vnfd_comes_in_a_form_the_client_takes() {
        assert_eq!(forms(&HeaderMap::new()), (true, true));
        assert_eq!(forms(&with(header::ACCEPT, "text/plain")), (false, true));
        assert_eq!(forms(&with(header::ACCEPT, "text/plain,application/zip")), (true, true));
        assert_eq!(forms(&with(header::ACCEPT, "application/json")), (false, false));
    }

    #[test]
    fn only_an_archive_is_uploaded() {
        assert!(is_zip(&with(header::CONTENT_TYPE, "application/zip")));
        assert!(!is_zip(&with(header::CONTENT_TYPE, "multipart/form-data; boundary=x")));
        assert!(!is_zip(&HeaderMap::new()));
    }

    #[test]
    fn refusals_have_the_status_of_their_kind() {
        for (error, status) in [
            (Error::NotFound(String::new()), 404),
            (Error::Conflict(String::new()), 409),
            (Error::NotAcceptable(String::new()), 406),
            (Error::TooLarge, 413),
            (Error::UserData, 400),
            (Error::Internal(String::new()), 500),
            (Error::Store(vimhost_store::Error::unavailable("x")), 503),
        ] {
            let response = Problem::from(error).into_response();
            assert_eq!(response.status().as_u16(), status);
        }
    }
}
