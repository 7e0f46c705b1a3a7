//! Coordinators that serve a part.

use roost_cluster::keys;
use roost_coordinator::parts::Part;
use roost_devcluster::wait_until;
use roost_proto::v1;
use tonic::Code;

use crate::api::{
    harness::{Api, SOON, TOKEN, api_and_parts},
    portal::{browser::Browser, signed_in},
};

async fn http(api: &Api, path: &str) -> u16 {
    let addr = api.coordinator.http_addr().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("http://{addr}{path}")).bearer_auth(TOKEN);
    request.send().await.unwrap().status().as_u16()
}

async fn calls(api: &Api) -> Result<(), Code> {
    let mut tenants = api.tenants();
    tenants.list_tenants(v1::ListTenantsRequest::default()).await.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn one_that_serves_the_portal_alone_has_pages_and_no_call_and_does_not_lead() {
    let (whole, pages) = api_and_parts(vec![Part::Portal]).await;
    whole.tenant("asha", 1).await;
    assert_eq!(calls(&pages).await, Err(Code::Unimplemented));
    for (path, status) in [("/v1/tenants", 404), ("/admin/tenants", 404), ("/sign-in", 200)] {
        assert_eq!(http(&pages, path).await, status, "{path}");
        assert_eq!(http(&whole, path).await, 200, "{path}");
    }
    let portal = http(&pages, "/portal/tenant/current/status").await;
    assert_ne!(portal, 404, "its front ends are served");
    // Whoever came in at one is signed in at the other, for both have one database.
    let asha = signed_in(&whole, "asha", "asha@duka.example", v1::Role::Owner).await;
    let mut there = Browser::of(&pages);
    there.cookie = asha.cookie.clone();
    assert_eq!(there.get("/t/asha").await.status, 200);
    let status = whole.cluster().get_cluster_status(v1::GetClusterStatusRequest {}).await.unwrap();
    let leader = status.into_inner().leader.map(|leader| leader.holder);
    assert!(leader.is_none_or(|holder| holder.ends_with("c1")));
}

#[tokio::test]
async fn one_that_only_controls_leads_and_serves_nothing() {
    let (whole, control) = api_and_parts(vec![Part::Controller]).await;
    assert_eq!(calls(&control).await, Err(Code::Unimplemented));
    for path in ["/v1/tenants", "/sign-in", "/admin/tenants", "/portal/tenant/current/status"] {
        assert_eq!(http(&control, path).await, 404, "{path}");
    }
    // It takes over where the one that serves all has stopped.
    let holder = async || {
        let key = control.registry.get(keys::LEADER).await.unwrap();
        key.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()).unwrap_or_default()
    };
    whole.coordinator.stop().await.unwrap();
    let leads = async || holder().await.contains("c2");
    wait_until("the other one leads", SOON, leads).await.unwrap();
}
