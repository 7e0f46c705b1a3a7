//! What a test does with a coordinator: it calls, with the token, and it plays the nodes.

use std::time::Duration;

use roost_cluster::{
    keys,
    records::NodeRecord,
    registry::{Commit, Op},
};
use roost_devcluster::{loopback_client, wait_until};
use roost_model::ids::{Generation, NodeId, TenantId};
use roost_proto::v1::{
    self, cluster_service_client::ClusterServiceClient, message_service_client::MessageServiceClient,
    node_service_client::NodeServiceClient, operation_service_client::OperationServiceClient,
    session_service_client::SessionServiceClient, tenant_service_client::TenantServiceClient,
    worker_inspection_service_client::WorkerInspectionServiceClient,
    worker_service_client::WorkerServiceClient,
};
use roost_store::Fence;
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use super::{Api, SOON, TOKEN};

impl Api {
    pub fn tenants(&self) -> TenantServiceClient<Authed> {
        TenantServiceClient::new(self.authed(TOKEN))
    }

    pub fn workers(&self) -> WorkerServiceClient<Authed> {
        WorkerServiceClient::new(self.authed(TOKEN))
    }

    pub fn inspection(&self) -> WorkerInspectionServiceClient<Authed> {
        WorkerInspectionServiceClient::new(self.authed(TOKEN))
    }

    pub fn sessions(&self) -> SessionServiceClient<Authed> {
        SessionServiceClient::new(self.authed(TOKEN))
    }

    pub fn messages(&self) -> MessageServiceClient<Authed> {
        MessageServiceClient::new(self.authed(TOKEN))
    }

    pub fn nodes(&self) -> NodeServiceClient<Authed> {
        NodeServiceClient::new(self.authed(TOKEN))
    }

    pub fn operations(&self) -> OperationServiceClient<Authed> {
        OperationServiceClient::new(self.authed(TOKEN))
    }

    pub fn cluster(&self) -> ClusterServiceClient<Authed> {
        ClusterServiceClient::new(self.authed(TOKEN))
    }

    pub fn authed(&self, token: &str) -> Authed {
        InterceptedService::new(self.channel.clone(), Bearer(token.to_owned()))
    }

    /// Waits until health says that the service serves.
    pub async fn is_serving(&self, service: &str) {
        self.has_health(service, true).await;
    }

    /// Waits until health says that the service does not serve.
    pub async fn is_not_serving(&self, service: &str) {
        self.has_health(service, false).await;
    }

    async fn has_health(&self, service: &str, serving: bool) {
        use tonic_health::pb::{
            HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
        };
        let asked = || async {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = HealthClient::new(self.channel.clone()).check(request).await;
            answer.is_ok_and(|answer| (answer.get_ref().status() == ServingStatus::Serving) == serving)
        };
        wait_until(&format!("{service:?} has serving = {serving}"), SOON, asked).await.expect("the health");
    }

    /// The status and the body of `/readyz`.
    pub async fn readiness(&self) -> (u16, serde_json::Value) {
        let addr = self.coordinator.health_addr().expect("an address");
        let client = loopback_client(SOON).expect("a client");
        let answer = client.get(format!("http://{addr}/readyz")).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("its body"))
    }

    /// A tenant of this name with a phone made of `digits`.
    pub async fn tenant(&self, id: &str, digits: u32) -> v1::Tenant {
        let request = v1::CreateTenantRequest { tenant: Some(business(digits)), tenant_id: id.into() };
        self.tenants().create_tenant(request).await.expect("a tenant").into_inner()
    }

    /// Registers a node under a lease that outlives the test.
    pub async fn node(&self, id: &str) -> NodeRecord {
        self.node_that(id, |_| {}).await
    }

    /// Registers a node whose record is changed before.
    pub async fn node_that(&self, id: &str, change: impl FnOnce(&mut NodeRecord)) -> NodeRecord {
        let incarnation = self.registry.grant(Duration::from_secs(600)).await.expect("a lease");
        let mut record = NodeRecord {
            node: NodeId::new(id).expect("an id"),
            incarnation,
            address: "127.0.0.1:9".into(),
            capacity: 50,
            weight: 100,
            zone: "default".into(),
            version: "0.0.0-test".into(),
            leaving: false,
            rpc_address: String::new(),
            spare_browsers: 0,
            started_at_ms: 1_700_000_000_123,
            impairments: Vec::new(),
            memory: None,
        };
        change(&mut record);
        let put =
            Op::Put { key: keys::node(&record.node), value: keys::encode(&record), lease: Some(incarnation) };
        let written = self.registry.commit(&[], &[put]).await.expect("the node's record");
        assert!(matches!(written, Commit::Done { .. }));
        record
    }

    /// Starts the tenant's worker, waits until the controller has placed it, and answers with what its node writes by.
    pub async fn placed(&self, tenant: &str) -> Fence {
        let request = v1::StartWorkerRequest { tenant_id: tenant.into() };
        self.workers().start_worker(request).await.expect("a start");
        let is_placed = || async { !self.worker(tenant).await.node_id.is_empty() };
        wait_until("the worker is placed", SOON, is_placed).await.expect("a placement");
        let generation = Generation(self.worker(tenant).await.generation);
        Fence { tenant: TenantId::new(tenant).expect("an id"), generation }
    }

    pub async fn worker(&self, tenant: &str) -> v1::Worker {
        let request = v1::GetWorkerRequest { tenant_id: tenant.into() };
        self.workers().get_worker(request).await.expect("a worker").into_inner()
    }

    pub async fn tenant_status(&self, id: &str) -> v1::TenantStatus {
        let request = v1::GetTenantRequest { id: id.into() };
        self.tenants().get_tenant(request).await.expect("a tenant").into_inner().status()
    }

    pub async fn delete(&self, id: &str) {
        self.tenants().delete_tenant(v1::DeleteTenantRequest { id: id.into() }).await.expect("a deletion");
    }
}

/// A valid tenant.
pub fn business(digits: u32) -> v1::Tenant {
    v1::Tenant {
        display_name: format!("Duka {digits}"),
        phone: format!("+2557{digits:08}"),
        ..Default::default()
    }
}

/// A channel that sends the token.
pub type Authed = InterceptedService<Channel, Bearer>;

#[derive(Clone)]
pub struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = MetadataValue::try_from(format!("Bearer {}", self.0)).expect("a token of ASCII");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}
