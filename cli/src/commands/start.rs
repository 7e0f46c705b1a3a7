//! What the commands that start an operation have in common.

use roost_proto::v1::Operation;

use super::{Context, follow::follow};
use crate::{failure::Failure, views::OperationView};

/// Follows what was just started, or shows it when nobody is to wait for it.
pub async fn started(context: &mut Context, operation: Operation, detach: bool) -> Result<(), Failure> {
    if detach {
        return context.output.one(&OperationView::from(operation));
    }
    follow(context, operation.id).await
}
