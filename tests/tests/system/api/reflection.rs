//! Reflection, which takes a token like all else, and health, whose check needs none.

use futures::stream;

use crate::api::harness::{Api, TOKEN, api, next};

const SERVICES: [&str; 8] = [
    "roost.v1.ClusterService",
    "roost.v1.MessageService",
    "roost.v1.NodeService",
    "roost.v1.OperationService",
    "roost.v1.SessionService",
    "roost.v1.TenantService",
    "roost.v1.WorkerInspectionService",
    "roost.v1.WorkerService",
];

/// Asks one version of reflection; the two differ in their package only.
macro_rules! reflect {
    ($api:expr, $version:ident, $question:ident($about:expr)) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let question = MessageRequest::$question($about.into());
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let mut client = ServerReflectionClient::new($api.authed(TOKEN));
        let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
        match next(&mut answers).await.unwrap().message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
            }
            MessageResponse::FileDescriptorResponse(files) => {
                files.file_descriptor_proto.iter().map(|file| format!("{} bytes", file.len())).collect()
            }
            other => panic!("unexpected: {other:?}"),
        }
    }};
}

async fn lists(api: &Api) -> [Vec<String>; 2] {
    [reflect!(api, v1, ListServices("")), reflect!(api, v1alpha, ListServices(""))]
}

#[tokio::test]
async fn both_versions_of_reflection_list_and_describe_the_services() {
    let api = api().await;
    for listed in lists(&api).await {
        for service in SERVICES {
            assert!(listed.iter().any(|name| name == service), "{service} is not in {listed:?}");
        }
        assert!(listed.iter().any(|name| name == "grpc.health.v1.Health"), "{listed:?}");
    }
    let v1 = reflect!(api, v1, FileContainingSymbol("roost.v1.TenantService"));
    let v1alpha = reflect!(api, v1alpha, FileContainingSymbol("roost.v1.TenantService"));
    assert!(!v1.is_empty());
    assert_eq!(v1, v1alpha);
}

#[tokio::test]
async fn health_knows_every_service() {
    let api = api().await;
    for service in SERVICES {
        api.is_serving(service).await;
    }
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    let unknown = HealthCheckRequest { service: "roost.v1.NoService".into() };
    let mut health = HealthClient::new(api.channel.clone());
    assert_eq!(health.check(unknown.clone()).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(health.watch(unknown).await.unwrap_err().code(), tonic::Code::Unauthenticated);
    let mut watched =
        HealthClient::new(api.authed(TOKEN)).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(next(&mut watched).await.unwrap().status(), ServingStatus::Serving);
}
