//! Where the board's events come from: the streams of the admin API, resumed when the coordinator comes back.

use std::time::Duration;

use roost_devcluster::TenantRecord;
use roost_proto::client::Admin;
use roost_proto::v1::{WatchMessagesRequest, WatchSessionRequest, WatchWorkersRequest};
use tokio::{sync::mpsc, task::JoinSet};
use tonic::Status;

use super::board::Event;

const QUEUE: usize = 256;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Dropping it ends the streams.
pub struct Feed {
    events: mpsc::Receiver<Event>,
    _tasks: JoinSet<()>,
}

impl Feed {
    /// The workers and the messages; the QR codes of `codes_of`, too.
    pub fn follow(admin: &Admin, codes_of: &[TenantRecord]) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        let source = Source { admin: admin.clone(), events: sender };
        tasks.spawn(again_and_again(source.clone(), |source| async move { source.workers().await }));
        tasks.spawn(again_and_again(source.clone(), |source| async move { source.messages().await }));
        for tenant in codes_of {
            let tenant = tenant.id.clone();
            tasks.spawn(again_and_again(source.clone(), move |source| {
                let tenant = tenant.clone();
                async move { source.codes(tenant).await }
            }));
        }
        Self { events, _tasks: tasks }
    }

    /// The next event. Cancel safe.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            // The streams never end by themselves.
            None => std::future::pending().await,
        }
    }
}

#[derive(Clone)]
struct Source {
    admin: Admin,
    events: mpsc::Sender<Event>,
}

/// A stream that ended or failed is opened again: what the board shows of the coordinator says why.
async fn again_and_again<F>(source: Source, once: impl Fn(Source) -> F)
where
    F: Future<Output = Result<(), Status>>,
{
    loop {
        once(source.clone()).await.ok();
        tokio::time::sleep(TRY_AGAIN_AFTER).await;
    }
}

impl Source {
    async fn workers(&self) -> Result<(), Status> {
        let mut changes =
            self.admin.workers().watch_workers(WatchWorkersRequest::default()).await?.into_inner();
        while let Some(change) = changes.message().await? {
            let worker = Box::new(change.worker.unwrap_or_default());
            self.tell(Event::Worker { worker, deleted: change.deleted }).await?;
        }
        Ok(())
    }

    async fn messages(&self) -> Result<(), Status> {
        let reason = "roost dev shows what is said on this machine".to_owned();
        let request = WatchMessagesRequest { reason, ..WatchMessagesRequest::default() };
        let mut messages = self.admin.messages().watch_messages(request).await?.into_inner();
        while let Some(message) = messages.message().await? {
            let direction = message.direction();
            self.tell(Event::Message { tenant: message.tenant_id, direction }).await?;
        }
        Ok(())
    }

    async fn codes(&self, tenant: String) -> Result<(), Status> {
        let request = WatchSessionRequest { tenant_id: tenant.clone() };
        let mut sessions = self.admin.sessions().watch_session(request).await?.into_inner();
        while let Some(session) = sessions.message().await? {
            if let Some(code) = session.qr {
                self.tell(Event::Code { tenant: tenant.clone(), text: code.text }).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, event: Event) -> Result<(), Status> {
        self.events.send(event).await.map_err(|_| Status::cancelled("nobody looks at the board any more"))
    }
}
