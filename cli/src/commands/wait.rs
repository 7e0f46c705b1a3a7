//! `roost worker wait`: until a worker is as it is wanted, for scripts; the exit code says.

use std::time::Duration;

use clap::ValueEnum;
use roost_proto::{
    client::Admin,
    v1::{
        ConditionKind, GetWorkerRequest, SessionStatus, WatchWorkersRequest, WatchWorkersResponse, Worker,
        WorkerStatus,
    },
};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{Context, follow::Patience};
use crate::{failure::Failure, views::WorkerView};

#[derive(Debug, clap::Args)]
pub struct Wait {
    tenant: String,
    /// What to wait for.
    #[arg(long = "for", value_enum, value_name = "STATE")]
    state: State,
    /// How long; exit code 1 when it is not so by then.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// WhatsApp has let its page in.
    Connected,
    /// Its page has proved that it works, and messages are answered.
    Answering,
    /// It shows a QR code.
    Scan,
    /// It is to be stopped, and no node has it any more.
    Stopped,
    /// It has given up and needs a person.
    Error,
    /// Its tenant is gone.
    Deleted,
}

impl Wait {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let admin = context.admin()?;
        let mut last = None;
        let met = timeout(self.timeout, self.watch(&admin, &mut last)).await;
        match met {
            Ok(Err(failure)) => Err(failure),
            Ok(Ok(())) => match last {
                Some(worker) => context.output.one(&WorkerView::from(worker)),
                None => Ok(()),
            },
            Err(_elapsed) => Err(Failure::Refused(self.not_met(last.as_ref()))),
        }
    }

    /// Until it is so; keeps the worker as it was last told.
    async fn watch(&self, admin: &Admin, last: &mut Option<Worker>) -> Result<(), Failure> {
        // A stream of a tenant that is not there says nothing.
        let request = GetWorkerRequest { tenant_id: self.tenant.clone() };
        match admin.workers().get_worker(request).await {
            Ok(worker) => *last = Some(worker.into_inner()),
            Err(status) if status.code() == Code::NotFound && matches!(self.state, State::Deleted) => {
                return Ok(());
            }
            Err(status) if status.code() == Code::Unavailable => {}
            Err(status) => return Err(status.into()),
        }
        let mut patience = Patience::default();
        loop {
            let request = WatchWorkersRequest { tenant_id: self.tenant.clone(), ..Default::default() };
            let ended = match admin.workers().watch_workers(request).await {
                Ok(answer) => {
                    let mut changes = answer.into_inner();
                    loop {
                        match changes.message().await {
                            Ok(Some(change)) => {
                                patience.heard();
                                let is_met = self.is_met(&change);
                                *last = change.worker;
                                if is_met {
                                    return Ok(());
                                }
                            }
                            Ok(None) => break Status::unavailable("the coordinator ended the stream"),
                            Err(status) => break status,
                        }
                    }
                }
                Err(status) => status,
            };
            patience.bear(ended).await?;
        }
    }

    fn is_met(&self, change: &WatchWorkersResponse) -> bool {
        let Some(worker) = &change.worker else { return false };
        let condition = worker.condition.as_ref().map(|condition| condition.kind()).unwrap_or_default();
        if change.deleted {
            return matches!(self.state, State::Deleted);
        }
        let gave_up = worker.status() == WorkerStatus::Error || condition == ConditionKind::Failed;
        match self.state {
            State::Connected => worker.session_status() == SessionStatus::Connected && !gave_up,
            State::Answering => condition == ConditionKind::Answering,
            State::Scan => worker.session_status() == SessionStatus::QrReady,
            State::Stopped => worker.status() == WorkerStatus::Stopped && worker.node_id.is_empty(),
            State::Error => gave_up,
            State::Deleted => false,
        }
    }

    fn not_met(&self, last: Option<&Worker>) -> String {
        let Self { tenant, state, timeout } = self;
        let wanted = match state {
            State::Connected => "connected",
            State::Answering => "answering",
            State::Scan => "waiting for a scan",
            State::Stopped => "stopped",
            State::Error => "in ERROR",
            State::Deleted => "deleted",
        };
        let is = last.map_or_else(
            || "nothing was heard of it".to_owned(),
            |worker| WorkerView::from(worker.clone()).in_a_line(),
        );
        format!("{tenant} is not {wanted} after {}: {is}", humantime::format_duration(*timeout))
    }
}
