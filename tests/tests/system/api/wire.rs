//! Requests that are no valid messages, or too large.

use roost_proto::{error::ErrorCode, v1};
use tonic::{client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::api::harness::{Api, TOKEN, api, business, fields, refused};

/// [`v1::GetTenantRequest`] with bytes where it has a string: the same on the wire.
#[derive(Clone, PartialEq, prost::Message)]
struct RawGetTenant {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
}

/// [`v1::CreateTenantRequest`] and [`v1::Tenant`], as far as the test needs them.
#[derive(Clone, PartialEq, prost::Message)]
struct RawCreateTenant {
    #[prost(message, optional, tag = "1")]
    tenant: Option<RawTenant>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawTenant {
    #[prost(bytes = "vec", tag = "2")]
    display_name: Vec<u8>,
}

async fn call<M>(
    api: &Api,
    path: &'static str,
    message: M,
) -> Result<tonic::Response<v1::Tenant>, tonic::Status>
where
    M: prost::Message + 'static,
{
    let mut grpc = Grpc::new(api.authed(TOKEN));
    grpc.ready().await.expect("a connection");
    let codec = ProstCodec::<M, v1::Tenant>::default();
    grpc.unary(tonic::Request::new(message), PathAndQuery::from_static(path), codec).await
}

#[tokio::test]
async fn text_that_is_not_utf8_is_the_callers_error_and_is_named() {
    let api = api().await;
    let bad = b"caf\xe9".to_vec();
    let error =
        refused(call(&api, "/roost.v1.TenantService/GetTenant", RawGetTenant { id: bad.clone() }).await);
    assert_eq!(error.code, ErrorCode::InvalidArgument, "{error:?}");
    for said in ["GetTenantRequest", "id", "UTF-8"] {
        assert!(error.message.contains(said), "{said}: {}", error.message);
    }
    let request = RawCreateTenant { tenant: Some(RawTenant { display_name: bad }) };
    let error = refused(call(&api, "/roost.v1.TenantService/CreateTenant", request).await);
    assert_eq!(error.code, ErrorCode::InvalidArgument, "{error:?}");
    assert!(error.message.contains("display_name"), "{}", error.message);
}

#[tokio::test]
async fn a_body_that_is_no_message_is_the_callers_error() {
    let api = api().await;
    // Field 1 as a number, where a string is due.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Number {
        #[prost(int64, tag = "1")]
        id: i64,
    }
    let error = refused(call(&api, "/roost.v1.TenantService/GetTenant", Number { id: 7 }).await);
    assert_eq!(error.code, ErrorCode::InvalidArgument, "{error:?}");
    assert!(error.message.contains("not a valid roost.v1.GetTenantRequest"), "{}", error.message);
}

#[tokio::test]
async fn an_oversized_request_is_refused_and_the_next_one_is_served() {
    let api = api().await;
    let tenant = v1::Tenant { display_name: "x".repeat(2 << 20), ..business(1) };
    let request = v1::CreateTenantRequest { tenant: Some(tenant), tenant_id: "asha".into() };
    let error = refused(api.tenants().create_tenant(request).await);
    assert_eq!(error.code, ErrorCode::TooLarge, "{error:?}");
    assert!(error.message.contains("1048576"), "the limit is not in {:?}", error.message);
    // Within the limit of the server and beyond that of the field.
    let tenant = v1::Tenant { display_name: "x".repeat(1 << 19), ..business(1) };
    let request = v1::CreateTenantRequest { tenant: Some(tenant), tenant_id: "asha".into() };
    let error = refused(api.tenants().create_tenant(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["tenant.display_name"]);
    api.tenant("asha", 1).await;
}

#[tokio::test]
async fn the_largest_valid_tenant_fits() {
    let api = api().await;
    let long = |characters| "\u{1F44B}".repeat(characters);
    let item = v1::MenuItem { title: long(80), reply: long(4_096), keywords: vec![long(40); 10] };
    let texts = v1::BusinessTexts {
        greeting: long(4_096),
        fallback: long(4_096),
        limit_warning: long(4_096),
        menu: vec![item; 20],
    };
    let tenant = v1::Tenant { display_name: long(200), texts: Some(texts.clone()), ..business(1) };
    let request = v1::CreateTenantRequest { tenant: Some(tenant), tenant_id: "asha".into() };
    let created = api.tenants().create_tenant(request).await.unwrap().into_inner();
    assert_eq!(created.texts, Some(texts));
}
