//! Asks nodes what they know. One channel a node, connected at the first question and again after it was lost; a question has a
//! deadline, and one that is not answered is a sentence for the operator and no error: what else is known is told all the same.

mod answers;
mod imports;
mod refusal;
mod status;

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_cluster::records::NodeRecord;
use roost_model::{
    causes,
    ids::{Generation, NodeId, TenantId},
};
use roost_proto::{
    client::{AdminError, Bearer},
    internal::{
        InspectWorkerRequest, ReadLogRequest, TakeScreenshotRequest,
        node_agent_service_client::NodeAgentServiceClient,
    },
};
use roost_secrets::ClusterSecret;
use roost_store::Requester;
use roost_tls::{ClientTls, advice, names};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use refusal::refusal;
use status::reason;

pub use answers::{BrowserVitals, LogChunk, LogRequest, NodeLog, SettingVitals, WorkerVitals};
pub use imports::{ImportRequest, ImportStep, NodeImport, ProfilePart, ProfileSender};
pub use refusal::{NodeFailure, NodeSilence};

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Until the answer begins: a node looks at a browser's processes for half a second, and asks the browser for two at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A page has 8 s to show itself, and the node puts down who asked.
const SCREENSHOT_WITHIN: Duration = Duration::from_secs(10);
/// A stream on a connection that has silently died ends after this and as much again.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Parts of a profile, of 1 MiB at most, that wait for the node to take them.
const PARTS_WAITING: usize = 2;
/// A channel that nobody has used for so long is closed, by the next one that is made.
const UNUSED_FOR: Duration = Duration::from_secs(600);

/// Of the address of a node that answers certificates alone.
const BY_TLS: &str = "https://";

/// The channels to the nodes.
pub struct NodeRpc {
    /// Shown to nodes without TLS, and to no others.
    secret: Option<Bearer>,
    tls: Option<ClientTls>,
    channels: Mutex<HashMap<NodeId, NodeChannel>>,
}

struct NodeChannel {
    address: String,
    channel: Channel,
    used_at: Instant,
}

impl NodeRpc {
    /// The secret is one that a header can carry. With neither no node answers.
    pub fn new(secret: Option<&ClusterSecret>, tls: Option<ClientTls>) -> Result<Self, AdminError> {
        let secret = secret.map(|secret| Bearer::new(secret.expose())).transpose()?;
        Ok(Self { secret, tls, channels: Mutex::default() })
    }

    pub async fn inspect_worker(
        &self,
        record: &NodeRecord,
        tenant: &TenantId,
    ) -> Result<WorkerVitals, NodeSilence> {
        let request = InspectWorkerRequest { tenant_id: tenant.to_string() };
        let mut client = self.client(record)?;
        let asked = timeout(ANSWER_WITHIN, client.inspect_worker(request)).await;
        let answered = asked.unwrap_or_else(|_elapsed| Err(overdue(ANSWER_WITHIN)));
        answered.map(|answer| answer.into_inner().into()).map_err(|status| silence(record, &status))
    }

    /// Lines that are there, and those that come if they are to be followed. They end without an error when the node has no more.
    pub async fn read_log(&self, record: &NodeRecord, request: LogRequest) -> Result<NodeLog, NodeSilence> {
        let mut client = self.client(record)?;
        let asked = timeout(ANSWER_WITHIN, client.read_log(ReadLogRequest::from(request))).await;
        let answered = asked.unwrap_or_else(|_elapsed| Err(overdue(ANSWER_WITHIN)));
        answered.map(|answer| NodeLog(answer.into_inner())).map_err(|status| silence(record, &status))
    }

    /// What the tenant's page shows, as a PNG, and whose it was. The node has put down who asked.
    pub async fn take_screenshot(
        &self,
        record: &NodeRecord,
        tenant: &TenantId,
        by: &Requester,
    ) -> Result<(Vec<u8>, Generation), NodeFailure> {
        let request = TakeScreenshotRequest {
            tenant_id: tenant.to_string(),
            requested_by: by.name.clone(),
            reason: by.reason.clone(),
        };
        let mut client = self.client(record)?;
        let asked = timeout(SCREENSHOT_WITHIN, client.take_screenshot(request)).await;
        let answered = asked.unwrap_or_else(|_elapsed| Err(overdue(SCREENSHOT_WITHIN)));
        let told = answered.map_err(|status| match refusal(&status) {
            Some(refused) => NodeFailure::Refused(refused),
            None => silence(record, &status).into(),
        })?;
        let told = told.into_inner();
        Ok((told.png, Generation(told.generation)))
    }

    /// Begins an import.
    pub async fn import_session(
        &self,
        record: &NodeRecord,
        request: ImportRequest,
    ) -> Result<(ProfileSender, NodeImport), NodeSilence> {
        let mut client = self.client(record)?;
        let (parts, sent) = mpsc::channel(PARTS_WAITING);
        // There is room for the first.
        parts.try_send(request.into()).ok();
        let asked = timeout(ANSWER_WITHIN, client.import_session(ReceiverStream::new(sent))).await;
        let answered = asked.unwrap_or_else(|_elapsed| Err(overdue(ANSWER_WITHIN)));
        let answers = answered.map_err(|status| silence(record, &status))?.into_inner();
        Ok((ProfileSender(parts), NodeImport(answers)))
    }

    fn client(&self, record: &NodeRecord) -> Result<NodeAgentServiceClient<NodeTransport>, NodeSilence> {
        let NodeRecord { node, rpc_address: address, .. } = record;
        if address.is_empty() {
            return Err(NodeSilence::OldVersion { node: node.clone() });
        }
        let shown = self.shown_to(record)?;
        let mut channels = self.channels.lock();
        let now = Instant::now();
        let channel = match channels.get_mut(node).filter(|known| known.address == *address) {
            Some(known) => {
                known.used_at = now;
                known.channel.clone()
            }
            None => {
                channels.retain(|_, known| now.duration_since(known.used_at) < UNUSED_FOR);
                let channel = self.channel_to(record)?;
                let known = NodeChannel { address: address.clone(), channel: channel.clone(), used_at: now };
                channels.insert(node.clone(), known);
                channel
            }
        };
        Ok(NodeAgentServiceClient::with_interceptor(channel, shown))
    }

    fn shown_to(&self, record: &NodeRecord) -> Result<Shown, NodeSilence> {
        let (node, has_tls) = (|| record.node.clone(), record.rpc_address.starts_with(BY_TLS));
        match (has_tls, &self.secret) {
            (true, _) if self.tls.is_some() => Ok(Shown(None)),
            (true, _) => Err(NodeSilence::WithTls { node: node() }),
            (false, Some(secret)) => Ok(Shown(Some(secret.clone()))),
            (false, None) => Err(NodeSilence::WithoutTls { node: node() }),
        }
    }

    /// By TLS what answers has to show that it is this node, wherever its address leads.
    fn channel_to(&self, record: &NodeRecord) -> Result<Channel, NodeSilence> {
        let NodeRecord { node, rpc_address: address, .. } = record;
        let unreachable = |reason: String| NodeSilence::Unreachable {
            node: node.clone(),
            address: address.clone(),
            reason,
        };
        let host_port = address.strip_prefix(BY_TLS);
        let plain = format!("http://{}", host_port.unwrap_or(address));
        let endpoint =
            Endpoint::from_shared(plain).map_err(|error| unreachable(causes(&error).to_string()))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_WITHIN)
            .timeout(SCREENSHOT_WITHIN)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY);
        match (host_port, &self.tls) {
            (Some(_), Some(tls)) => {
                let name = names::node(node.as_str())
                    .ok_or_else(|| unreachable("its id is no part of a name".to_owned()))?;
                Ok(roost_tls::channel(&endpoint, tls.clone(), Some(name)))
            }
            _ => Ok(endpoint.connect_lazy()),
        }
    }
}

type NodeTransport = InterceptedService<Channel, Shown>;

/// What a call shows a node beside its connection's certificate.
#[derive(Clone)]
struct Shown(Option<Bearer>);

impl Interceptor for Shown {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match &mut self.0 {
            Some(secret) => secret.call(request),
            None => Ok(request),
        }
    }
}

fn overdue(within: Duration) -> Status {
    Status::deadline_exceeded(format!("no answer within {} s", within.as_secs()))
}

fn silence(record: &NodeRecord, status: &Status) -> NodeSilence {
    let NodeRecord { node, rpc_address: address, .. } = record;
    let (node, address) = (node.clone(), address.clone());
    if let Some(advice) = advice(status) {
        return NodeSilence::Tls { node, address, advice };
    }
    match status.code() {
        Code::NotFound => NodeSilence::NotHeld { node },
        Code::Unauthenticated => NodeSilence::ForeignSecret { node },
        Code::Unimplemented => NodeSilence::OldVersion { node },
        _ => NodeSilence::Unreachable { node, address, reason: reason(status) },
    }
}

impl fmt::Debug for NodeRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRpc").field("channels", &self.channels.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

    use roost_model::ids::Incarnation;

    use super::*;

    fn rpc() -> NodeRpc {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "7".repeat(64)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        NodeRpc::new(Some(&ClusterSecret::from_file(&path).unwrap()), None).unwrap()
    }

    fn record(node: &str, rpc_address: &str) -> NodeRecord {
        NodeRecord {
            node: NodeId::new(node).unwrap(),
            incarnation: Incarnation(1),
            address: String::new(),
            capacity: 1,
            weight: 100,
            zone: String::new(),
            version: String::new(),
            leaving: false,
            rpc_address: rpc_address.to_owned(),
            spare_browsers: 0,
            started_at_ms: 0,
            impairments: Vec::new(),
            memory: None,
        }
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_is_named_with_its_address_and_the_reason() {
        let (rpc, tenant) = (rpc(), TenantId::new("t").unwrap());
        // Nobody listens there any more.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let silence = rpc.inspect_worker(&record("n1", &address), &tenant).await.unwrap_err().to_string();
        assert!(silence.starts_with(&format!("node n1 cannot be reached at {address}: ")), "{silence}");
        assert!(silence.contains("refused"), "{silence}");
        let old = rpc.inspect_worker(&record("n1", ""), &tenant).await.unwrap_err();
        assert!(matches!(old, NodeSilence::OldVersion { .. }), "{old}");
    }

    #[tokio::test]
    async fn a_node_has_one_channel_until_its_address_changes() {
        let rpc = rpc();
        for (node, address) in [("n1", "127.0.0.1:1"), ("n1", "127.0.0.1:1"), ("n1", "127.0.0.1:2")] {
            rpc.client(&record(node, address)).unwrap();
        }
        rpc.client(&record("n2", "127.0.0.1:1")).unwrap();
        let channels = rpc.channels.lock();
        assert_eq!(channels.len(), 2);
        assert_eq!(channels[&NodeId::new("n1").unwrap()].address, "127.0.0.1:2");
    }
}
