//! Packages that instances are on their way to.
//!
//! An instance is of a package when its operation is over, and needs it before: from when the operation was accepted. Both sides look at what
//! the other one wrote before: an operation that begins looks whether the package is still enabled; whoever deletes the package, which is
//! disabled then, looks for operations, and after that for instances ([`crate::VnfLcm::package_in_use`]). So an operation is seen here, or it
//! has left an instance that is seen there, or it sees that the package is not enabled any more.

use std::collections::BTreeSet;

use serde::Deserialize;
use vimhost_model::VnfdId;
use vimhost_model::vnf::OperationState;

use crate::{Error, ListQuery, Store};

/// States of an operation that is not over. One that failed may be tried again.
const NOT_OVER: [OperationState; 4] = [
    OperationState::Starting,
    OperationState::Processing,
    OperationState::FailedTemp,
    OperationState::RollingBack,
];

/// Operations that are read at once: the request of one may have some hundred kilobytes.
const PAGE: usize = 50;

/// What is read of an operation. Only a request that brings an instance to another VNFD names one.
#[derive(Deserialize)]
struct Asked {
    #[serde(default, rename = "operationParams")]
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    #[serde(default, rename = "vnfdId")]
    vnfd: Option<VnfdId>,
}

/// VNFDs that operations which are not over bring instances to.
///
/// # Errors
/// When the store cannot be read, or an operation in it: it might need any package.
pub async fn vnfds_on_their_way(store: &dyn Store) -> Result<BTreeSet<VnfdId>, Error> {
    let query = ListQuery {
        states: NOT_OVER.map(|state| state.as_str().to_owned()).to_vec(),
        whole: true,
        ..ListQuery::default()
    };
    let mut found = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.op_occs(&query, after.as_deref(), PAGE).await?;
        for listed in page.entries {
            let asked: Asked = serde_json::from_str(&listed.rest)
                .map_err(|error| Error::corrupt(format!("operation occurrence {}", listed.id), error))?;
            found.extend(asked.params.and_then(|params| params.vnfd));
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}
