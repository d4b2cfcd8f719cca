//! Whether a stack with one of our tokens is an instance's.

use vimhost_connector::StackRef;
use vimhost_model::vnf::VnfInstance;
use vimhost_model::{VimId, VnfLcmOpOccId};
use vimhost_store::Store;

use super::work::Kept;
use crate::Error;

/// The operation that a stack's token names.
fn maker(token: &str, installation: &str) -> Option<VnfLcmOpOccId> {
    let root = token.split('.').next()?.strip_prefix(installation)?.strip_prefix('-')?;
    let id = match root.rsplit_once("-g") {
        Some((id, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => id,
        Some(_) | None => root,
    };
    id.parse().ok()
}

/// Whether an operation or an instance owns a stack.
pub(crate) async fn owns_stack(store: &dyn Store, installation: &str, id: &VimId, token: &str) -> Result<bool, Error> {
    let doing = |error| Error::of_store("looking for the owner of a stack", error);
    let Some(maker) = maker(token, installation) else {
        return Ok(false);
    };
    let Some(op_occ) = store.op_occ(&maker).await.map_err(doing)? else {
        return Ok(false);
    };
    if !op_occ.operation_state.is_final() {
        return Ok(true);
    }
    let instance = store.vnf_instance(&op_occ.vnf_instance_id).await.map_err(doing)?;
    let kept = instance.and_then(|instance| Kept::read(&instance.own.stack).ok());
    Ok(kept.is_some_and(|kept| match &kept.id {
        Some(known) => known == id,
        // Of a creation whose answer was lost only the token is known.
        None => !kept.token.is_empty() && kept.token == token,
    }))
}

/// The stack that an instance names, by its id.
pub(crate) fn stack_of(instance: &VnfInstance) -> Option<StackRef> {
    let id = Kept::read(&instance.own.stack).ok()?.id?;
    Some(StackRef {
        name: instance.stack_name(),
        id: Some(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_the_operation_whatever_its_generation() {
        let id = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
        for token in [
            format!("qwert-{id}"),
            format!("qwert-{id}-g2"),
            format!("qwert-{id}.op-x"),
        ] {
            assert_eq!(maker(&token, "qwert").unwrap().as_str(), id);
        }
        assert_eq!(maker(&format!("other-{id}"), "qwert"), None);
    }
}
