//! What the machine asks for as a call of a connector, and the connector's answer in the machine's words.

use vimhost_connector::{Call, Connector, DeleteStep, Error as CallError, Step as Answered, UpdateMode};

use super::machine::{Answer, Request};

/// How deep resources are read: the stack, its groups, their members.
const NESTED: u8 = 2;

/// Makes a call.
pub(super) async fn make(connector: &dyn Connector, call: Call, request: Request) -> Result<Answer, CallError> {
    let step = |step: Answered<()>| match step {
        Answered::Done(()) => Answer::Taken,
        Answered::Pending(pending) => Answer::Pending(pending),
    };
    Ok(match request {
        Request::Create(create) => match connector.create_stack(call, create).await? {
            Answered::Done(created) => Answer::Created(created.id),
            Answered::Pending(pending) => Answer::Pending(pending),
        },
        Request::Update(stack, content) => step(
            connector
                .update_stack(call, stack, UpdateMode::Partial, content)
                .await?,
        ),
        Request::Mark {
            stack,
            resource,
            reason,
        } => step(connector.mark_unhealthy(call, &stack, &resource, &reason).await?),
        Request::Delete(stack) => match connector.delete_stack(call, stack).await? {
            DeleteStep::Done => Answer::Deleted,
            DeleteStep::Accepted => Answer::Deleting,
            DeleteStep::Pending(pending) => Answer::Pending(pending),
        },
        Request::Find(name) => Answer::Found(connector.find_stack(&name).await?),
        Request::Resources(stack) => Answer::Resources(connector.stack_resources(&stack, NESTED).await?),
    })
}
