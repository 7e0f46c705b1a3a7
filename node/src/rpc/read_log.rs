//! ReadLog: the lines that are on the disk, and those that come.

use std::time::Duration;

use roost_model::ids::TenantId;
use roost_proto::{
    error::{ApiError, ErrorCode},
    internal::{ReadLogRequest, ReadLogResponse},
};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Level;

use crate::{
    blocking::run_blocking,
    host::worker_table::WorkerTable,
    worker_log::{Followed, LineFilter, WorkerLog},
};

/// Lines of one answer: 1 MiB at the most, of 4 that gRPC takes.
const CHUNK: usize = 128;
/// Answers that wait for the caller.
const WAITING: usize = 4;

pub(super) type Answers = ReceiverStream<Result<ReadLogResponse, Status>>;

/// What is asked for, checked.
struct Reading {
    tenant: TenantId,
    filter: LineFilter,
    lines: usize,
}

impl Reading {
    fn of(request: &ReadLogRequest) -> Result<Self, ApiError> {
        let wrong = |what: String| ApiError::new(ErrorCode::InvalidArgument, what);
        let tenant = TenantId::new(&request.tenant_id)
            .map_err(|_| wrong(format!("{:?} is no tenant's id", request.tenant_id)))?;
        let level = match request.level.as_str() {
            "" => None,
            given => Some(given.parse::<Level>().map_err(|_| wrong(format!("{given:?} is no level")))?),
        };
        let since = request.since_time.map(|at| {
            let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
            OffsetDateTime::from_unix_timestamp_nanos(nanos)
                .map_err(|_| wrong("since_time is no time".to_owned()))
        });
        let filter = LineFilter {
            generation: Some(request.generation).filter(|generation| *generation != 0),
            since: since.transpose()?,
            level,
        };
        let lines = if request.lines == 0 { usize::MAX } else { request.lines as usize };
        Ok(Self { tenant, filter, lines })
    }
}

pub(super) async fn read_log(
    log: &WorkerLog,
    workers: &WorkerTable,
    request: &ReadLogRequest,
) -> Result<Answers, Status> {
    let Reading { tenant, filter, lines } = Reading::of(request)?;
    let (open, followed) = if request.follow {
        let (open, followed) = log.follow(&tenant, filter).await.map_err(unreadable)?;
        // Asked afterwards: what is held now is followed until the writer hears of its end.
        (open, Some(followed).filter(|_| is_held(workers, &tenant, &filter)))
    } else {
        (log.open(&tenant).await.map_err(unreadable)?, None)
    };
    let kept = run_blocking(move || open.last(&filter, lines, usize::MAX)).await.map_err(unreadable)?;
    let (to, answers) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        // An error says that the caller has left.
        let _left = tell(&to, kept, followed).await;
    });
    Ok(ReceiverStream::new(answers))
}

fn is_held(workers: &WorkerTable, tenant: &TenantId, filter: &LineFilter) -> bool {
    let held = workers.status(tenant);
    held.is_some_and(|(held, _)| filter.generation.is_none_or(|wanted| wanted == held.generation.0))
}

type CallerLeft = mpsc::error::SendError<Result<ReadLogResponse, Status>>;

async fn tell(
    to: &mpsc::Sender<Result<ReadLogResponse, Status>>,
    kept: Vec<String>,
    followed: Option<mpsc::Receiver<Followed>>,
) -> Result<(), CallerLeft> {
    for lines in kept.chunks(CHUNK) {
        to.send(Ok(ReadLogResponse { lines: lines.to_vec(), missed: 0 })).await?;
    }
    let Some(mut followed) = followed else { return Ok(()) };
    let mut come = Vec::new();
    loop {
        let count = tokio::select! {
            count = followed.recv_many(&mut come, CHUNK) => count,
            () = to.closed() => return Ok(()),
        };
        if count == 0 {
            return Ok(());
        }
        let mut answer = ReadLogResponse::default();
        for come in come.drain(..) {
            match come {
                Followed::Line(line) => answer.lines.push(line.json.clone()),
                Followed::Missed(lines) => answer.missed += lines,
            }
        }
        to.send(Ok(answer)).await?;
    }
}

fn unreadable(error: std::io::Error) -> Status {
    ApiError::unavailable("log", Duration::from_secs(1), format!("the log cannot be read: {error}")).into()
}
