//! Follows an operation to its end: as a progress bar on a terminal, as lines or objects elsewhere.
//!
//! The operation does not depend on being watched. When the coordinator ends the stream another one may go on with it, so
//! the client asks again for a while; Ctrl-C ends the watching and nothing else.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use roost_proto::client::Admin;
use roost_proto::v1::{Operation, OperationState, WatchOperationRequest};
use tokio::signal::unix::SignalKind;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use super::{Context, signals::Signals};
use crate::{failure::Failure, text::visible, views::OperationView};

/// How long the client looks for a coordinator that answers.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Follows what was just started, or shows it when nobody is to wait for it.
pub async fn started(context: &mut Context, operation: Operation, detach: bool) -> Result<(), Failure> {
    if detach {
        return context.output.one(&OperationView::from(operation));
    }
    follow(context, operation.id).await
}

/// Prints each change. Err when the operation ends without its goal, and when Ctrl-C came before the end.
pub async fn follow(context: &mut Context, id: i64) -> Result<(), Failure> {
    let admin = context.admin()?;
    // Listened for before anything is shown: who presses Ctrl-C at the first line is told as well what goes on.
    let mut interrupts = Signals::listen(&[SignalKind::interrupt()])?;
    let watched = tokio::select! {
        watched = watch(context, &admin, id) => watched?,
        _ = interrupts.received() => return Err(Failure::StoppedWatching { operation: id }),
    };
    let Operation { message, .. } = &watched;
    let why = if message.is_empty() { String::new() } else { format!(": {message}") };
    match watched.state() {
        OperationState::Failed => Err(Failure::Refused(format!("operation {id} failed{why}"))),
        OperationState::Cancelled => Err(Failure::Refused(format!("operation {id} was cancelled{why}"))),
        OperationState::Done | OperationState::Running | OperationState::Unspecified => Ok(()),
    }
}

/// The operation as it ended.
async fn watch(context: &mut Context, admin: &Admin, id: i64) -> Result<Operation, Failure> {
    let mut shown = Shown::new(context);
    let mut patience = Patience::default();
    loop {
        let ended = match admin.operations().watch_operation(WatchOperationRequest { id }).await {
            Ok(answer) => {
                let mut changes = answer.into_inner();
                loop {
                    match changes.message().await {
                        Ok(Some(operation)) => {
                            patience.heard();
                            shown.show(context, &operation)?;
                            if operation.state() != OperationState::Running {
                                return Ok(operation);
                            }
                        }
                        Ok(None) => break tonic::Status::unavailable("the coordinator ended the stream"),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        patience.bear(ended).await?;
    }
}

/// With coordinators that end a stream: the next one may go on with it.
#[derive(Default)]
pub(super) struct Patience {
    silent_since: Option<Instant>,
}

impl Patience {
    pub fn heard(&mut self) {
        self.silent_since = None;
    }

    /// Waits before the next try. Err when there is to be none.
    pub async fn bear(&mut self, ended: Status) -> Result<(), Failure> {
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        if ended.code() != Code::Unavailable || since.elapsed() > PATIENCE {
            return Err(ended.into());
        }
        sleep(ASK_AGAIN).await;
        Ok(())
    }
}

/// What is on the screen.
struct Shown {
    /// On a terminal, for people.
    bar: Option<ProgressBar>,
    /// An operation is told again after the coordinator has changed.
    last: Option<Operation>,
}

impl Shown {
    fn new(context: &Context) -> Self {
        let on_terminal = !context.output.is_data() && io::stderr().is_terminal();
        Self { bar: on_terminal.then(new_bar), last: None }
    }

    fn show(&mut self, context: &mut Context, operation: &Operation) -> Result<(), Failure> {
        if self.last.as_ref() == Some(operation) {
            return Ok(());
        }
        self.last = Some(operation.clone());
        let over = operation.state() != OperationState::Running;
        match &self.bar {
            Some(bar) if !over => {
                bar.set_length(u64::try_from(operation.total_tenants).unwrap_or_default());
                bar.set_position(u64::try_from(operation.done_tenants).unwrap_or_default());
                bar.set_message(visible(&operation.message));
                return Ok(());
            }
            Some(bar) => bar.finish_and_clear(),
            None => {}
        }
        context.output.event(&OperationView::from(operation.clone()))
    }
}

fn new_bar() -> ProgressBar {
    const LAYOUT: &str = "{elapsed:>5} [{bar:30}] {pos}/{len} tenants  {wide_msg}";
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(LAYOUT) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
