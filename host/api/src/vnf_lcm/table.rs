//! The endpoints: routes and description are made from this one table, so neither can forget one.
//!
//! Beside each handler stands with what it refuses that others do not; what any request is refused with is known to
//! [`openapi`](super::openapi).

use axum::Router;
use axum::routing::{MethodRouter, on};
use utoipa::openapi::HttpMethod;
use utoipa::{OpenApi, Path as _};

use super::{Shared, instances, op_occs, subscriptions, versions};
use crate::method::filter;
use crate::vnf_packages;

/// What is known of an endpoint beside its description.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Its method's name.
    pub method: &'static str,
    pub path: String,
    /// Its `operationId`.
    pub operation: String,
    /// Statuses of refusals that are its own.
    pub refusals: &'static [u16],
}

/// An endpoint with what serves it.
type Served = (Endpoint, MethodRouter<Shared>);

macro_rules! endpoints {
    ($($module:ident::$handler:ident [$($refusal:literal),*];)+) => {
        #[derive(OpenApi)]
        #[openapi(
            paths($($module::$handler),+),
            components(schemas(
                vimhost_model::VnfInstanceId, vimhost_model::VnfLcmOpOccId, vimhost_model::SubscriptionId, vimhost_model::VnfPkgId,
                vimhost_model::VnfdId, vimhost_model::vnf::ProblemDetails, vimhost_model::vnf::LifecycleChangeFilter,
                vimhost_model::vnf::Verbosity, vimhost_model::vnf::PackageOnboardingState,
                vimhost_model::vnf::PackageOperationalState, vimhost_model::vnf::PackageUsageState
            ))
        )]
        struct Described;

        fn served() -> Vec<Served> {
            pastey::paste! { vec![$({
                type Description = $module::[<__path_ $handler>];
                let method = Description::methods().pop().unwrap_or(HttpMethod::Get);
                let endpoint = Endpoint {
                    method: crate::method::name(&method),
                    path: Description::path(),
                    operation: Description::operation().operation_id.unwrap_or_default(),
                    refusals: &[$($refusal),*],
                };
                (endpoint, on(filter(&method), $module::$handler))
            }),+] }
        }
    };
}

endpoints! {
    versions::all [];
    versions::of_v1 [];
    versions::of_v2 [];
    instances::create [422];
    instances::list [];
    instances::show [];
    instances::modify [409, 422];
    instances::delete [409];
    instances::instantiate [409, 422];
    instances::terminate [409];
    instances::scale [409];
    instances::heal [409];
    instances::change_ext_conn [409, 422];
    instances::change_vnfpkg [409, 422];
    op_occs::list [];
    op_occs::show [];
    op_occs::retry [409];
    op_occs::rollback [409, 422];
    op_occs::fail [409];
    subscriptions::create_v2 [422];
    subscriptions::list_v2 [];
    subscriptions::show_v2 [];
    subscriptions::delete_v2 [];
    subscriptions::create_v1 [422];
    subscriptions::list_v1 [];
    subscriptions::show_v1 [];
    subscriptions::delete_v1 [];
    vnf_packages::create [];
    vnf_packages::list [];
    vnf_packages::show [];
    vnf_packages::update [409];
    vnf_packages::delete [409];
    vnf_packages::content [409, 416];
    vnf_packages::upload [408, 409];
    vnf_packages::upload_from_uri [];
    vnf_packages::vnfd [406, 409];
    vnf_packages::artifact [409];
}

/// Every endpoint.
pub(super) fn endpoints() -> Vec<Endpoint> {
    served().into_iter().map(|(endpoint, _)| endpoint).collect()
}

/// What the handlers say of themselves.
pub(super) fn described() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    served().into_iter().fold(Router::new(), |router, (endpoint, served)| {
        router.route(&template(&endpoint.path), served)
    })
}

/// A path as the framework has it: what is described as `{path}` goes on over slashes.
fn template(path: &str) -> String {
    path.replace("{path}", "{*path}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::vnf_lcm::headers;

    #[test]
    fn the_methods_that_requests_are_refused_by_are_those_of_the_table() {
        let known: BTreeSet<(String, &str)> = headers::ROUTES
            .iter()
            .flat_map(|(path, methods)| methods.iter().map(move |method| ((*path).to_owned(), *method)))
            .collect();
        let served: BTreeSet<(String, &str)> = endpoints()
            .into_iter()
            .map(|endpoint| (headers::template(&endpoint.path), endpoint.method))
            .collect();
        assert_eq!(known, served);
    }

    #[test]
    fn only_the_path_of_a_file_goes_over_slashes() {
        let wild: Vec<String> = endpoints()
            .iter()
            .map(|endpoint| template(&endpoint.path))
            .filter(|path| path.contains('*'))
            .collect();
        assert_eq!(wild, ["/vnfpkgm/v1/vnf_packages/{id}/artifacts/{*path}"]);
    }
}
