//! `roost worker logs`

use std::time::{Duration, SystemTime};

use clap::Args;
use roost_proto::v1::{LogLevel, ReadWorkerLogRequest, ReadWorkerLogResponse};
use tokio::time::{Instant, sleep};
use tonic::{Code, Streaming};

use super::Context;
use crate::{choices::LogLevelChoice, failure::Failure, views::LogLineView};

/// How long the client looks for a coordinator that answers.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub struct Logs {
    tenant: String,
    /// Go on with each line that comes, also on the next node after a failover, until Ctrl-C.
    #[arg(short, long, conflicts_with = "previous")]
    follow: bool,
    /// Only lines that are not older than this, such as 1h.
    #[arg(long, value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only lines of this level and above.
    #[arg(long, value_enum)]
    level: Option<LogLevelChoice>,
    /// At most so many of the lines that there are, the newest.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    lines: i32,
    /// The log of the owner before the present one.
    #[arg(long)]
    previous: bool,
}

impl Logs {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let since = self.since.and_then(|since| SystemTime::now().checked_sub(since));
        let mut request = ReadWorkerLogRequest {
            tenant_id: self.tenant,
            lines: self.lines,
            since_time: since.map(Into::into),
            level: self.level.map_or(LogLevel::Unspecified, LogLevel::from).into(),
            follow: self.follow,
            previous: self.previous,
        };
        let mut silent_since = None;
        loop {
            let ended = match context.admin()?.inspection().read_worker_log(request.clone()).await {
                Ok(answer) => match print(context, answer.into_inner(), &mut request).await? {
                    Ended::Orderly => return Ok(()),
                    Ended::Broken { status, told } => {
                        if told {
                            silent_since = None;
                        }
                        status
                    }
                },
                Err(status) => status,
            };
            let since = *silent_since.get_or_insert_with(Instant::now);
            if !self.follow || ended.code() != Code::Unavailable || since.elapsed() > PATIENCE {
                return Err(ended.into());
            }
            // Another coordinator may go on with it, after the last line that was printed.
            sleep(ASK_AGAIN).await;
        }
    }
}

enum Ended {
    Orderly,
    Broken { status: tonic::Status, told: bool },
}

/// Notes where the lines end in the request, so that it goes on from there.
async fn print(
    context: &mut Context,
    mut answers: Streaming<ReadWorkerLogResponse>,
    request: &mut ReadWorkerLogRequest,
) -> Result<Ended, Failure> {
    let mut told = false;
    loop {
        let answer = match answers.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(Ended::Orderly),
            Err(status) => return Ok(Ended::Broken { status, told }),
        };
        told = true;
        if !answer.notice.is_empty() {
            context.output.note(&answer.notice);
        }
        for line in answer.lines {
            if let Some(mut after) = line.time {
                after.nanos += 1;
                after.normalize();
                (request.since_time, request.lines) = (Some(after), 10_000);
            }
            context.output.event(&LogLineView::from(line))?;
        }
    }
}
