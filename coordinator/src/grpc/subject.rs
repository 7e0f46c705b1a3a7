//! What a request is about, read from its message before its handler has it.
//!
//! Only where that is asked for: of callers of one tenant, and of what the audit keeps. The message is read by its description, and of
//! callers of one tenant it is the message that was read, written anew, that goes on to the handler: nothing can be one thing here and another there.

use std::{sync::LazyLock, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, Value};
use roost_proto::{
    FILE_DESCRIPTOR_SET,
    error::{ApiError, ErrorCode},
};
use tokio::time::timeout;
use tonic::body::Body;

use super::frame::{PREFIX, framed};

/// That of the largest request of any call, which the handler holds to its own.
const MOST: usize = 4 << 20;
/// For a whole request, as for an answer.
const WITHIN: Duration = Duration::from_secs(30);

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// A request that was read.
#[derive(Debug)]
pub struct ReadRequest {
    message: Option<DynamicMessage>,
    bytes: Bytes,
}

/// The message of this call, if it has one alone: a stream of them is not read.
pub fn message_of(path: &str) -> Option<MessageDescriptor> {
    method(path).filter(|method| !method.is_client_streaming()).map(|method| method.input())
}

/// Those of other packages do, as far as they take a token.
pub fn answers_with_stream(path: &str) -> bool {
    method(path).is_none_or(|method| method.is_server_streaming())
}

fn method(path: &str) -> Option<MethodDescriptor> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let service = POOL.as_ref()?.get_service_by_name(service)?;
    service.methods().find(|known| known.name() == method)
}

/// Reads the body whole. What is no message is left for the handler to refuse.
pub async fn read(descriptor: MessageDescriptor, body: Body) -> Result<ReadRequest, ApiError> {
    let read = timeout(WITHIN, Limited::new(body, MOST + PREFIX).collect());
    let bytes = match read.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("the request has more than {MOST} bytes, which no call takes");
            return Err(ApiError::new(ErrorCode::TooLarge, message));
        }
        Ok(Err(_broken_off)) => {
            return Err(ApiError::new(ErrorCode::InvalidArgument, "the request broke off before its end"));
        }
        Err(_elapsed) => {
            let message = format!("the request did not come within {} s", WITHIN.as_secs());
            return Err(ApiError::new(ErrorCode::InvalidArgument, message));
        }
    };
    let message = payload(&bytes).and_then(|payload| DynamicMessage::decode(descriptor, payload).ok());
    Ok(ReadRequest { message, bytes })
}

/// What is in the one frame that there is.
fn payload(bytes: &Bytes) -> Option<Bytes> {
    let head = bytes.get(..PREFIX)?;
    let length = u32::from_be_bytes(head.get(1..)?.try_into().ok()?);
    let payload = bytes.slice(PREFIX..);
    (head[0] == 0 && usize::try_from(length).ok()? == payload.len()).then_some(payload)
}

impl ReadRequest {
    /// Whether it was a message of its kind.
    pub fn is_readable(&self) -> bool {
        self.message.is_some()
    }

    /// The text at a path such as `tenant.id`; empty where there is none.
    pub fn text(&self, path: &str) -> String {
        self.message.as_ref().and_then(|message| text(message, path)).unwrap_or_default()
    }

    /// As it came.
    pub fn into_body(self) -> Body {
        Body::new(http_body_util::Full::new(self.bytes).map_err(|never| match never {}))
    }

    /// As it was read.
    pub fn into_written_anew(self) -> Body {
        let Some(message) = self.message else { return Body::empty() };
        Self { message: None, bytes: framed(&message) }.into_body()
    }
}

fn text(message: &DynamicMessage, path: &str) -> Option<String> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = message.get_field_by_name(first)?;
    match (field.as_ref(), rest) {
        (Value::String(text), None) => Some(text.clone()),
        (Value::Message(inner), Some(rest)) => self::text(inner, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use roost_proto::v1;

    use super::*;
    use crate::app::access::calls::CALLS;

    async fn read_as(path: &str, bytes: Vec<u8>) -> ReadRequest {
        let body = Body::new(http_body_util::Full::new(Bytes::from(bytes)).map_err(|never| match never {}));
        read(message_of(path).unwrap(), body).await.unwrap()
    }

    const UPDATE: &str = "/roost.v1.TenantService/UpdateTenant";

    fn update(id: &str) -> v1::UpdateTenantRequest {
        let tenant = v1::Tenant { id: id.into(), phone: "+254700000001".into(), ..Default::default() };
        v1::UpdateTenantRequest { tenant: Some(tenant), update_mask: None }
    }

    #[tokio::test]
    async fn a_field_is_read_as_the_handler_will_read_it() {
        assert_eq!(read_as(UPDATE, framed(&update("asha")).to_vec()).await.text("tenant.id"), "asha");
        assert_eq!(
            read_as(UPDATE, framed(&v1::UpdateTenantRequest::default()).to_vec()).await.text("tenant.id"),
            ""
        );
        // A field that comes twice counts as the handler counts it: the last of it.
        let twice = [update("asha").encode_to_vec(), update("bola").encode_to_vec()].concat();
        let decoded = v1::UpdateTenantRequest::decode(&twice[..]).unwrap();
        let length = u32::try_from(twice.len()).unwrap().to_be_bytes();
        let read = read_as(UPDATE, [&[0][..], &length, &twice].concat()).await;
        assert_eq!(read.text("tenant.id"), decoded.tenant.unwrap().id);
    }

    #[tokio::test]
    async fn what_goes_on_is_what_was_read() {
        let request = read_as(UPDATE, framed(&update("asha")).to_vec()).await;
        let body = request.into_written_anew().collect().await.unwrap().to_bytes();
        assert_eq!(v1::UpdateTenantRequest::decode(&body[PREFIX..]).unwrap(), update("asha"));
    }

    #[tokio::test]
    async fn what_is_no_message_is_not_read_and_stays_as_it_came() {
        let good = framed(&update("asha")).to_vec();
        for wrong in [vec![], good[..4].to_vec(), good[..9].to_vec(), [&[1][..], &good[1..]].concat(), {
            let mut longer = good.clone();
            longer.push(0);
            longer
        }] {
            let read = read_as(UPDATE, wrong.clone()).await;
            assert!(!read.is_readable(), "{wrong:?}");
            assert_eq!(read.into_body().collect().await.unwrap().to_bytes(), wrong);
        }
    }

    #[test]
    fn every_field_that_the_table_names_is_a_text_of_its_message() {
        for call in CALLS.iter().filter(|call| call.path.starts_with("/roost.")) {
            let Some(mut message) = message_of(call.path) else {
                assert_eq!(call.name(), "SessionService/ImportSession");
                continue;
            };
            for path in [call.subject.tenant(), call.subject.node()].into_iter().flatten() {
                let mut fields = path.split('.').peekable();
                while let Some(name) = fields.next() {
                    let field =
                        message.get_field_by_name(name).unwrap_or_else(|| panic!("{} {path}", call.path));
                    match field.kind() {
                        prost_reflect::Kind::Message(inner) => message = inner,
                        kind => assert!(
                            kind == prost_reflect::Kind::String && fields.peek().is_none(),
                            "{} {path}",
                            call.path
                        ),
                    }
                }
                message = message_of(call.path).unwrap();
            }
        }
    }
}
