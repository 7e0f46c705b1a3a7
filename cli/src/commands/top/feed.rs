//! The streams that `roost top` stands on, each a task that opens its stream again when it has ended.

use std::{sync::Arc, time::Duration};

use roost_proto::{
    client::Admin,
    v1::{ListNodesRequest, Node, WatchEventsRequest, WatchWorkersRequest, WatchWorkersResponse},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::sleep,
};
use tonic::{Status, Streaming};

use super::picture::News;
use crate::failure::Failure;

const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What comes within this after a sign that nodes have changed is one listing of them.
const GATHER: Duration = Duration::from_secs(1);
/// News that waits to be taken in; a stream waits for who does not read.
const WAITING: usize = 8_192;
const PAGE: i32 = 1_000;

pub struct Feed {
    news: mpsc::Receiver<News>,
    nodes_changed: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Feed {
    /// An error is one of the first call: of what was asked for.
    pub async fn begin(admin: &Admin, request: WatchWorkersRequest) -> Result<Self, Failure> {
        let request = WatchWorkersRequest { with_figures: true, ..request };
        let first = admin.workers().watch_workers(request.clone()).await?.into_inner();
        let (sender, news) = mpsc::channel(WAITING);
        let nodes_changed = Arc::new(Notify::new());
        let source = Source { admin: admin.clone(), news: sender };
        let mut tasks = JoinSet::new();
        tasks.spawn(source.clone().workers(request, first));
        tasks.spawn(source.nodes(nodes_changed.clone()));
        Ok(Self { news, nodes_changed, tasks })
    }

    /// Waits for news and takes what there is, at most so much. An error is a fault of this program: a task has ended. Cancel
    /// safe.
    pub async fn next(&mut self, into: &mut Vec<News>, most: usize) -> Result<(), Failure> {
        let reason = tokio::select! {
            _taken @ 1.. = self.news.recv_many(into, most) => return Ok(()),
            ended = self.tasks.join_next() => match ended {
                Some(Err(error)) => error.to_string(),
                Some(Ok(())) | None => "a stream's task ended".to_owned(),
            },
        };
        Err(Failure::Refused(format!("roost top has failed: {reason}; a fault of this program: report it")))
    }

    /// A worker has moved, for instance.
    pub fn nodes_may_have_changed(&self) {
        self.nodes_changed.notify_one();
    }
}

#[derive(Clone)]
struct Source {
    admin: Admin,
    news: mpsc::Sender<News>,
}

/// How a stream ends, in words.
fn words(status: Status) -> String {
    Failure::from(status).to_string()
}

impl Source {
    async fn workers(self, request: WatchWorkersRequest, first: Streaming<WatchWorkersResponse>) {
        let mut stream = Ok(first);
        loop {
            let ended = match stream {
                Ok(stream) => self.follow_workers(stream).await,
                Err(status) => status,
            };
            self.tell(News::Lost(words(ended))).await;
            sleep(ASK_AGAIN).await;
            stream =
                self.admin.workers().watch_workers(request.clone()).await.map(|answer| answer.into_inner());
        }
    }

    async fn follow_workers(&self, mut stream: Streaming<WatchWorkersResponse>) -> Status {
        self.tell(News::Begun).await;
        loop {
            let answer = match stream.message().await {
                Ok(Some(answer)) => answer,
                Ok(None) => return Status::unavailable("the coordinator has ended the stream"),
                Err(status) => return status,
            };
            if let Some(worker) = answer.worker {
                let is_gone = answer.deleted || answer.no_longer_fits;
                self.tell(News::Worker { worker: Box::new(worker), is_gone }).await;
            }
            if !answer.figures.is_empty() {
                self.tell(News::Figures(answer.figures)).await;
            }
            if answer.all_told {
                self.tell(News::AllTold).await;
            }
        }
    }

    async fn nodes(self, changed: Arc<Notify>) {
        loop {
            let ended = self.follow_nodes(&changed).await;
            self.tell(News::NodesLost(words(ended))).await;
            sleep(ASK_AGAIN).await;
        }
    }

    /// Lists them whenever an event is about one, or a worker has moved.
    async fn follow_nodes(&self, changed: &Notify) -> Status {
        // First, so that nothing is missed between the two.
        let mut events = match self.admin.cluster().watch_events(WatchEventsRequest::default()).await {
            Ok(events) => events.into_inner(),
            Err(status) => return status,
        };
        loop {
            match self.list_nodes().await {
                Ok(nodes) => self.tell(News::Nodes(nodes)).await,
                Err(status) => return status,
            }
            let mut is_due = false;
            let gathered = sleep(GATHER);
            tokio::pin!(gathered);
            loop {
                tokio::select! {
                    () = &mut gathered, if is_due => break,
                    () = changed.notified() => {
                        is_due = true;
                    }
                    event = events.message() => match event {
                        Ok(Some(event)) => is_due |= !event.node_id.is_empty() || event.operation_id != 0,
                        Ok(None) => return Status::unavailable("the coordinator has ended the stream"),
                        Err(status) => return status,
                    },
                }
            }
        }
    }

    async fn list_nodes(&self) -> Result<Vec<Node>, Status> {
        let (mut nodes, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListNodesRequest { page_size: PAGE, page_token, show_lost: true };
            let page = self.admin.nodes().list_nodes(request).await?.into_inner();
            nodes.extend(page.nodes);
            if page.next_page_token.is_empty() {
                return Ok(nodes);
            }
            page_token = page.next_page_token;
        }
    }

    async fn tell(&self, news: News) {
        // Nobody looks any more only when the program ends, and this task with it.
        let _is_read = self.news.send(news).await;
    }
}
