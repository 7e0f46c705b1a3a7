//! What is asked for one tenant that is opened: its description, or its log as it grows. One at a time; leaving it ends what is under
//! way.

use std::time::Duration;

use roost_proto::{
    client::Admin,
    v1::{DescribeWorkerRequest, ReadWorkerLogRequest, ReadWorkerLogResponse},
};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};
use tonic::{Status, Streaming};

use crate::{
    failure::Failure,
    output::Row,
    text::visible,
    views::{LogLineView, WorkerDescriptionView},
};

const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A worker that changes is described anew so long after it.
const SETTLE: Duration = Duration::from_millis(500);
/// Of a log at the beginning.
const LINES: i32 = 500;
const WAITING: usize = 64;

/// What has come for the page that is open.
#[derive(Debug)]
pub enum Page {
    /// Names and values, or why they cannot be had.
    Described { tenant: String, told: Result<Vec<(String, String)>, String> },
    /// More of a log.
    Log { tenant: String, lines: Vec<String> },
}

pub struct Pages {
    admin: Admin,
    sender: mpsc::Sender<Page>,
    pages: mpsc::Receiver<Page>,
    task: Option<JoinHandle<()>>,
}

impl Pages {
    pub fn new(admin: &Admin) -> Self {
        let (sender, pages) = mpsc::channel(WAITING);
        Self { admin: admin.clone(), sender, pages, task: None }
    }

    /// Cancel safe.
    pub async fn next(&mut self) -> Page {
        match self.pages.recv().await {
            Some(page) => page,
            None => std::future::pending().await,
        }
    }

    pub fn describe(&mut self, tenant: String) {
        self.describe_after(Duration::ZERO, tenant);
    }

    /// It has changed; more changes may follow.
    pub fn describe_soon(&mut self, tenant: String) {
        self.describe_after(SETTLE, tenant);
    }

    pub fn follow_log(&mut self, tenant: String) {
        self.leave();
        let log = Log { admin: self.admin.clone(), sender: self.sender.clone(), tenant };
        self.task = Some(tokio::spawn(log.follow()));
    }

    pub fn leave(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    fn describe_after(&mut self, wait: Duration, tenant: String) {
        self.leave();
        let (admin, sender) = (self.admin.clone(), self.sender.clone());
        self.task = Some(tokio::spawn(async move {
            sleep(wait).await;
            let told = described(&admin, &tenant).await.map_err(|status| Failure::from(status).to_string());
            let _is_read = sender.send(Page::Described { tenant, told }).await;
        }));
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.leave();
    }
}

async fn described(admin: &Admin, tenant: &str) -> Result<Vec<(String, String)>, Status> {
    let request = DescribeWorkerRequest { tenant_id: tenant.to_owned() };
    let told = admin.inspection().describe_worker(request).await?.into_inner();
    let lines = WorkerDescriptionView::from(told).details();
    Ok(lines.into_iter().map(|(name, value)| (name.to_owned(), visible(&value))).collect())
}

struct Log {
    admin: Admin,
    sender: mpsc::Sender<Page>,
    tenant: String,
}

impl Log {
    /// Until it is left. What ends is opened again, and goes on after the last line.
    async fn follow(self) {
        let mut request = ReadWorkerLogRequest {
            tenant_id: self.tenant.clone(),
            lines: LINES,
            follow: true,
            ..Default::default()
        };
        let mut said = String::new();
        loop {
            let ended = match self.admin.inspection().read_worker_log(request.clone()).await {
                Ok(answers) => {
                    said.clear();
                    self.read(answers.into_inner(), &mut request).await
                }
                Err(status) => status,
            };
            // Once, however often it is tried.
            let why = Failure::from(ended).to_string();
            if said != why {
                self.tell(vec![format!("-- {}; asking again", visible(&why))]).await;
                said = why;
            }
            sleep(ASK_AGAIN).await;
        }
    }

    async fn read(
        &self,
        mut answers: Streaming<ReadWorkerLogResponse>,
        request: &mut ReadWorkerLogRequest,
    ) -> Status {
        loop {
            let answer = match answers.message().await {
                Ok(Some(answer)) => answer,
                Ok(None) => return Status::unavailable("the log has ended: the tenant was deleted"),
                Err(status) => return status,
            };
            let mut lines = Vec::new();
            if !answer.notice.is_empty() {
                lines.push(format!("-- {}", visible(&answer.notice)));
            }
            for line in answer.lines {
                if let Some(mut after) = line.time {
                    after.nanos += 1;
                    after.normalize();
                    request.since_time = Some(after);
                }
                let [time, level, node, message] = cells(LogLineView::from(line));
                // The day is today's, and the fractions of a second tell nobody anything.
                let clock = time.get(11..19).unwrap_or(&time);
                lines.push(visible(&format!("{clock} {level} {node} {message}")));
            }
            self.tell(lines).await;
        }
    }

    async fn tell(&self, lines: Vec<String>) {
        let _is_read = self.sender.send(Page::Log { tenant: self.tenant.clone(), lines }).await;
    }
}

fn cells(line: LogLineView) -> [String; 4] {
    let mut cells = line.cells().into_iter();
    std::array::from_fn(|_| cells.next().unwrap_or_default())
}
