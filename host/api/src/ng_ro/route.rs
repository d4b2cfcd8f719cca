//! Paths of NG-RO, and what is wrong with those that are none.

use std::borrow::Cow;

use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use vimhost_engine::operation::Topic;
use vimhost_model::{ActionId, NsrId};

use crate::failure::Failure;

/// Text of a path that an error may repeat.
const MAX_REPEATED: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Version,
    Home,
    Services,
    Actions(NsrId),
    Deploy(NsrId),
    Forget(NsrId),
    /// The topic it is asked under makes no difference.
    Status(NsrId, ActionId, &'static str),
    VimInfo(NsrId, ActionId),
    Cancel(NsrId, ActionId),
    Operate(NsrId, Topic),
}

impl Route {
    /// Takes method and path apart.
    pub(super) fn parse(method: &Method, path: &str) -> Result<Self, Failure> {
        let mut segments = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let text = percent_decode_str(segment).decode_utf8();
            segments.push(text.map_err(|_| Failure::bad_request("the path is not UTF-8"))?);
        }
        let segments: Vec<&str> = segments.iter().map(Cow::as_ref).collect();
        let Some((&"ro", rest)) = segments.split_first() else {
            return Err(Failure::not_found(
                "there is nothing at this path; NG-RO is served below /ro",
            ));
        };
        match rest {
            [] => only(method, &[Method::GET], Self::Home),
            ["version"] => only(method, &[Method::GET], Self::Version),
            ["version", extra, ..] => Err(extra_items(extra)),
            [_] | [_, _] => Err(wrong("URL must contain at least 'main_topic/version/topic'")),
            ["admin" | "ns", "v1", topic, ids @ ..] => Self::of_topic(method, rest.first() == Some(&"ns"), topic, ids),
            ["admin" | "ns", version, ..] => Err(wrong(format!("URL version '{}' not supported", shortened(version)))),
            [topic, ..] => Err(wrong(format!("URL main_topic '{}' not supported", shortened(topic)))),
        }
    }

    fn of_topic(method: &Method, ns: bool, topic: &str, ids: &[&str]) -> Result<Self, Failure> {
        match (ns, topic, ids) {
            (true, "deploy", []) => only(method, &[Method::GET], Self::Services),
            (true, "deploy", [nsr]) => {
                let nsr = nsr_id(nsr)?;
                match *method {
                    Method::GET => Ok(Self::Actions(nsr)),
                    Method::POST => Ok(Self::Deploy(nsr)),
                    Method::DELETE => Ok(Self::Forget(nsr)),
                    _ => only(method, &[Method::GET, Method::POST, Method::DELETE], Self::Home),
                }
            }
            (true, "deploy", [nsr, action, "cancel"]) => {
                let route = Self::Cancel(nsr_id(nsr)?, action_id(action)?);
                only(method, &[Method::POST], route)
            }
            (true, "deploy", [nsr, action, "viminfo"]) => {
                let route = Self::VimInfo(nsr_id(nsr)?, action_id(action)?);
                only(method, &[Method::GET], route)
            }
            (true, "deploy" | "recreate" | "migrate" | "verticalscale", [nsr, action]) => {
                let route = Self::Status(nsr_id(nsr)?, action_id(action)?, status_template(topic));
                only(method, &[Method::GET], route)
            }
            (true, "deploy", [_, _, extra]) => Err(unexpected(extra)),
            (true, "deploy", [.., extra]) => Err(extra_items(extra)),
            // NG-RO names these routes and has nothing behind them (D1).
            (false, "tokens", [] | [_]) => Err(Failure::not_found(
                "there are no tokens at this interface; it serves its source ranges without",
            )),
            (false, "tokens", [.., extra]) => Err(extra_items(extra)),
            (true, word, ids) => Self::of_operation(method, word, ids),
            (false, topic, _) => Err(unexpected(topic)),
        }
    }

    fn of_operation(method: &Method, word: &str, ids: &[&str]) -> Result<Self, Failure> {
        let topic = Topic::from_word(word).ok_or_else(|| unexpected(word))?;
        match ids {
            [] => Err(Failure::not_found(format!(
                "'{word}' is asked for at the path of a network service"
            ))),
            [nsr] => {
                let route = Self::Operate(nsr_id(nsr)?, topic);
                only(method, &[Method::POST], route)
            }
            [.., extra] => Err(extra_items(extra)),
        }
    }

    /// The route without its ids, for logs.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Version => "/ro/version",
            Self::Home => "/ro",
            Self::Services => "/ro/ns/v1/deploy",
            Self::Actions(_) | Self::Deploy(_) | Self::Forget(_) => "/ro/ns/v1/deploy/{nsr}",
            Self::Status(_, _, template) => template,
            Self::VimInfo(..) => "/ro/ns/v1/deploy/{nsr}/{action}/viminfo",
            Self::Cancel(..) => "/ro/ns/v1/deploy/{nsr}/{action}/cancel",
            Self::Operate(_, Topic::Start) => "/ro/ns/v1/start/{nsr}",
            Self::Operate(_, Topic::Stop) => "/ro/ns/v1/stop/{nsr}",
            Self::Operate(_, Topic::Rebuild) => "/ro/ns/v1/rebuild/{nsr}",
            Self::Operate(_, Topic::Console) => "/ro/ns/v1/console/{nsr}",
            Self::Operate(_, Topic::Migrate) => "/ro/ns/v1/migrate/{nsr}",
            Self::Operate(_, Topic::VerticalScale) => "/ro/ns/v1/verticalscale/{nsr}",
            Self::Operate(_, Topic::Recreate) => "/ro/ns/v1/recreate/{nsr}",
        }
    }
}

fn status_template(topic: &str) -> &'static str {
    match topic {
        "recreate" => "/ro/ns/v1/recreate/{nsr}/{action}",
        "migrate" => "/ro/ns/v1/migrate/{nsr}/{action}",
        "verticalscale" => "/ro/ns/v1/verticalscale/{nsr}/{action}",
        _ => "/ro/ns/v1/deploy/{nsr}/{action}",
    }
}

fn only(method: &Method, methods: &[Method], route: Route) -> Result<Route, Failure> {
    if methods.contains(method) || (*method == Method::HEAD && methods.contains(&Method::GET)) {
        return Ok(route);
    }
    let failure = wrong(format!(
        "Method {} not supported for this URL",
        shortened(method.as_str())
    ));
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    Err(match HeaderValue::from_str(&names.join(", ")) {
        Ok(allow) => failure.with_header(header::ALLOW, allow),
        Err(_) => failure,
    })
}

fn wrong(detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

fn unexpected(item: &str) -> Failure {
    wrong(format!("Unexpected URL item {}", shortened(item)))
}

fn extra_items(item: &str) -> Failure {
    wrong(format!("URL contains unexpected extra items '{}'", shortened(item)))
}

fn shortened(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_REPEATED)
        .collect()
}

fn nsr_id(text: &str) -> Result<NsrId, Failure> {
    NsrId::new(text).map_err(|error| Failure::bad_request(error.to_string()))
}

fn action_id(text: &str) -> Result<ActionId, Failure> {
    ActionId::new(text).map_err(|error| Failure::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, path: &str) -> (u16, String) {
        let failure = Route::parse(&method, path).unwrap_err();
        (failure.status.as_u16(), failure.detail)
    }

    #[test]
    fn paths_of_lcm_with_their_double_slash_are_routes() {
        let nsr: NsrId = "n1".parse().unwrap();
        let action: ActionId = "op:1/2".parse().unwrap();
        for (method, path, route) in [
            (Method::GET, "/ro//version", Route::Version),
            (Method::GET, "/ro/", Route::Home),
            (Method::GET, "/ro", Route::Home),
            (Method::GET, "//ro///ns/v1/deploy/", Route::Services),
            (Method::POST, "/ro//ns/v1/deploy/n1", Route::Deploy(nsr.clone())),
            (Method::GET, "/ro//ns/v1/deploy/n1", Route::Actions(nsr.clone())),
            (Method::DELETE, "/ro//ns/v1/deploy/n1", Route::Forget(nsr.clone())),
            (
                Method::GET,
                "/ro/ns/v1/deploy/n1/op:1%2F2",
                Route::Status(nsr.clone(), action.clone(), status_template("deploy")),
            ),
            (
                Method::GET,
                "/ro/ns/v1/recreate/n1/op%3A1%2f2",
                Route::Status(nsr.clone(), action.clone(), status_template("recreate")),
            ),
            (
                Method::POST,
                "/ro//ns/v1/recreate/n1",
                Route::Operate(nsr.clone(), Topic::Recreate),
            ),
            (
                Method::POST,
                "/ro//ns/v1/stop/n1",
                Route::Operate(nsr.clone(), Topic::Stop),
            ),
            (
                Method::POST,
                "/ro/ns/v1/deploy/n1/op:1%2F2/cancel",
                Route::Cancel(nsr.clone(), action.clone()),
            ),
            (
                Method::GET,
                "/ro//ns/v1/deploy/n1/op:1%2F2/viminfo",
                Route::VimInfo(nsr, action),
            ),
        ] {
            assert_eq!(Route::parse(&method, path).unwrap(), route, "{method} {path}");
        }
    }

    #[test]
    fn d1_routes_without_anything_behind_them_do_not_exist_and_the_others_are_served() {
        assert_eq!(refused(Method::POST, "/ro/admin/v1/tokens").0, 404);
        assert_eq!(refused(Method::DELETE, "/ro/admin/v1/tokens/t").0, 404);
        for path in [
            "/ro/ns/v1/migrate/n/a",
            "/ro/ns/v1/verticalscale/n/a",
            "/ro/ns/v1/recreate/n/a",
        ] {
            assert!(
                matches!(Route::parse(&Method::GET, path), Ok(Route::Status(..))),
                "{path}"
            );
        }
    }

    #[test]
    fn each_wrong_path_has_the_text_of_ng_ro() {
        for (method, path, detail) in [
            (
                Method::GET,
                "/ro/ns",
                "URL must contain at least 'main_topic/version/topic'",
            ),
            (
                Method::GET,
                "/ro/ns/v1",
                "URL must contain at least 'main_topic/version/topic'",
            ),
            (Method::GET, "/ro/test/v1/x", "URL main_topic 'test' not supported"),
            (Method::GET, "/ro/ns/v2/deploy", "URL version 'v2' not supported"),
            (Method::GET, "/ro/ns/v1/nonsense", "Unexpected URL item nonsense"),
            (Method::GET, "/ro/admin/v1/deploy", "Unexpected URL item deploy"),
            (
                Method::GET,
                "/ro/ns/v1/deploy/n/a/nonsense",
                "Unexpected URL item nonsense",
            ),
            (
                Method::POST,
                "/ro/ns/v1/start/n/a",
                "URL contains unexpected extra items 'a'",
            ),
            (
                Method::GET,
                "/ro/ns/v1/deploy/n/a/viminfo/x",
                "URL contains unexpected extra items 'x'",
            ),
            (Method::GET, "/ro/version/x", "URL contains unexpected extra items 'x'"),
            (
                Method::PUT,
                "/ro/ns/v1/deploy/n",
                "Method PUT not supported for this URL",
            ),
            (Method::POST, "/ro/version", "Method POST not supported for this URL"),
            (
                Method::DELETE,
                "/ro/ns/v1/deploy",
                "Method DELETE not supported for this URL",
            ),
        ] {
            assert_eq!(refused(method, path), (405, detail.to_owned()), "{path}");
        }
        assert_eq!(refused(Method::GET, "/osm/v1").0, 404);
        assert_eq!(refused(Method::POST, "/ro/ns/v1/stop").0, 404);
        assert_eq!(refused(Method::GET, "/ro/ns/v1/stop/n").0, 405);
        assert_eq!(refused(Method::GET, "/ro/ns/v1/deploy/%ff").0, 400);
        assert_eq!(refused(Method::GET, "/ro/ns/v1/deploy/a%00b").0, 400);
        assert_eq!(
            refused(Method::GET, &format!("/ro/ns/v1/deploy/{}", "x".repeat(256))).0,
            400
        );
    }
}
