//! Paths by which requests are counted: what names an element is left out.

/// A path with ids and names replaced: `/servers/{id}/action`, `/stacks/{name}/{id}`.
pub(crate) fn template(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    let mut before = "";
    for part in path.split('/').filter(|part| !part.is_empty()) {
        shown.push('/');
        shown.push_str(match part {
            _ if is_id(part) => "{id}",
            // Heat names a stack by name and id, and has no name that looks like one of these words' uses.
            _ if before == "stacks" && !["detail", "preview"].contains(&part) => "{name}",
            _ => part,
        });
        before = part;
    }
    if shown.is_empty() {
        shown.push('/');
    }
    shown
}

/// UUIDs with and without dashes, other ids in hexadecimal, and numbers.
fn is_id(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = part.bytes().filter(|byte| *byte == b'-').count();
    let whole = digits + dashes == part.len();
    whole && (digits >= 32 || (dashes == 0 && part.bytes().all(|byte| byte.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_an_element_is_left_out() {
        for (path, shown) in [
            (
                "/servers/6f70656e-7374-6163-6b20-746573747321/action",
                "/servers/{id}/action",
            ),
            (
                "/os-server-groups/6f70656e737461636b20746573747321",
                "/os-server-groups/{id}",
            ),
            (
                "/stacks/web/6f70656e-7374-6163-6b20-746573747321/resources",
                "/stacks/{name}/{id}/resources",
            ),
            ("/stacks/web", "/stacks/{name}"),
            ("/stacks/detail", "/stacks/detail"),
            ("/flavors/7", "/flavors/{id}"),
            ("/servers//detail/", "/servers/detail"),
            ("/v2.0/ports", "/v2.0/ports"),
            ("/cafe", "/cafe"),
            ("", "/"),
            ("/", "/"),
        ] {
            assert_eq!(template(path), shown, "{path}");
        }
    }
}
