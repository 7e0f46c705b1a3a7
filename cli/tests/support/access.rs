//! The scripted coordinator's tokens and its audit.

use roost_proto::v1::{access_service_server::AccessService, *};
use tonic::{Request, Response, async_trait};

use super::{Answer, Script, at, unknown};

fn token() -> Token {
    Token {
        id: 3,
        name: "ci".into(),
        role: Role::Operator.into(),
        create_time: at(0),
        created_by: "token file 2cf24dba".into(),
        expire_time: at(7_776_000),
        last_use_time: at(3_600),
        ..Token::default()
    }
}

#[async_trait]
impl AccessService for Script {
    async fn create_token(&self, request: Request<CreateTokenRequest>) -> Answer<CreateTokenResponse> {
        let CreateTokenRequest { name, role, tenant_id, lifetime } = request.into_inner();
        let expire_time = at(lifetime.unwrap_or_default().seconds);
        let made = Token { name, role, tenant_id, expire_time, last_use_time: None, ..token() };
        let secret = "roost_bm90IGEgcmVhbCB0b2tlbiwgb25seSBvbmUgb2YgdGhlIHRlc3Rz".into();
        Ok(Response::new(CreateTokenResponse { token: Some(made), secret }))
    }

    async fn list_tokens(&self, request: Request<ListTokensRequest>) -> Answer<ListTokensResponse> {
        let mut tokens = vec![token()];
        if request.into_inner().show_ended {
            tokens.push(Token {
                id: 2,
                name: "duka-bot".into(),
                role: Role::Processor.into(),
                tenant_id: "duka".into(),
                revoke_time: at(7_200),
                revoked_by: "token ci".into(),
                ..token()
            });
        }
        Ok(Response::new(ListTokensResponse { tokens, next_page_token: String::new() }))
    }

    async fn revoke_token(&self, request: Request<RevokeTokenRequest>) -> Answer<Token> {
        match request.into_inner().id {
            3 => Ok(Response::new(Token {
                revoke_time: at(9_000),
                revoked_by: "token file 2cf24dba".into(),
                ..token()
            })),
            id => Err(unknown("token", &id.to_string())),
        }
    }

    async fn get_caller(&self, _: Request<GetCallerRequest>) -> Answer<Caller> {
        let role = Role::Staff.into();
        Ok(Response::new(Caller { name: "token duka-desk".into(), role, tenant_id: "duka".into() }))
    }

    async fn list_looks(&self, request: Request<ListLooksRequest>) -> Answer<ListLooksResponse> {
        let tenant_id = request.into_inner().tenant_id;
        let one = Look {
            time: at(60),
            caller: "user neema@roost.example".into(),
            role: Role::Operator.into(),
            call: "MessageService/ListMessages".into(),
            tenant_id,
            reason: "the owner asked why one was not answered".into(),
        };
        let all =
            Look { tenant_id: String::new(), reason: "a search for a lost message".into(), ..one.clone() };
        Ok(Response::new(ListLooksResponse { looks: vec![one, all], next_page_token: String::new() }))
    }

    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Answer<ListAuditEntriesResponse> {
        let refused = AuditEntry {
            id: 12,
            time: at(120),
            caller: "token duka-desk".into(),
            role: Role::Staff.into(),
            call: "WorkerService/StopWorker".into(),
            tenant_id: "duka".into(),
            origin: "10.0.3.7".into(),
            result: "PERMISSION_DENIED".into(),
            ..AuditEntry::default()
        };
        let moved = AuditEntry {
            id: 11,
            time: at(60),
            caller: "token ci".into(),
            role: Role::Operator.into(),
            call: "OperationService/StartMove".into(),
            tenant_id: "duka".into(),
            node_id: "node-2".into(),
            origin: "10.0.3.2".into(),
            result: "OK".into(),
            requested_by: "asha".into(),
            reason: "node-1 is slow".into(),
        };
        let caller = request.into_inner().caller;
        let entries = [refused, moved].into_iter();
        let entries = entries.filter(|entry| caller.is_empty() || entry.caller == caller).collect();
        Ok(Response::new(ListAuditEntriesResponse { entries, next_page_token: String::new() }))
    }
}
