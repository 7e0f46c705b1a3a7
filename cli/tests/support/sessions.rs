//! The scripted coordinator's sessions and messages.

use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{
        message_service_server::MessageService, session_service_server::SessionService,
        worker_service_server::WorkerService, *,
    },
};
use tonic::{Request, Response, Status, Streaming};

use super::{Answer, Items, Script, at, imports, items, unknown};

fn session(tenant_id: &str) -> Result<Session, Status> {
    let code = QrCode {
        text: "2@code-1".into(),
        data_uri: "data:image/png;base64,AAAA".into(),
        expire_time: at(20),
    };
    let waiting = Session {
        tenant_id: "shop".into(),
        status: SessionStatus::QrReady as i32,
        qr: Some(code),
        ..Default::default()
    };
    let linked = Session {
        tenant_id: "lodge".into(),
        status: SessionStatus::Connected as i32,
        connect_time: at(30),
        last_seen_time: at(120),
        snapshot_time: at(90),
        account: Some(LinkedAccount {
            phone_number: "+255700000001".into(),
            push_name: "Safari Lodge \u{202e}".into(),
            platform: "android".into(),
            link_time: at(10),
        }),
        ..Default::default()
    };
    let idle = Session {
        tenant_id: "idle".into(),
        status: SessionStatus::Disconnected as i32,
        ..Default::default()
    };
    match tenant_id {
        "quiet" => Ok(Session { tenant_id: "quiet".into(), scan_pause_time: at(40), ..idle }),
        "shop" => Ok(waiting),
        "lodge" => Ok(linked),
        "idle" => Ok(idle),
        _ => Err(unknown("tenant", tenant_id)),
    }
}

/// The newest is damaged; the one before has no size, as those of before.
fn snapshots() -> Vec<SessionSnapshot> {
    let newest = SessionSnapshot {
        id: "12-4".into(),
        take_time: at(90),
        size_bytes: 3_500_000,
        node_id: "node-1".into(),
        state: SnapshotState::Damaged as i32,
        ..Default::default()
    };
    let of_before = SessionSnapshot {
        id: "9-31".into(),
        take_time: at(30),
        size_bytes: 0,
        node_id: String::new(),
        ..newest.clone()
    };
    let kept = SnapshotState::Kept as i32;
    vec![
        newest.clone(),
        SessionSnapshot { id: "12-3".into(), take_time: at(60), state: kept, newest: true, ..newest },
        SessionSnapshot { clean: true, state: kept, restore_ordered: true, ..of_before },
    ]
}

fn orphan(number: u8, removal_ordered_by: &str) -> SnapshotOrphan {
    SnapshotOrphan {
        uid: format!("00000000-0000-0000-0000-00000000000{number}"),
        first_seen_time: at(60),
        removal_ordered_by: removal_ordered_by.to_owned(),
    }
}

#[tonic::async_trait]
impl SessionService for Script {
    type WatchSessionStream = Items<Session>;

    async fn get_session(&self, request: Request<GetSessionRequest>) -> Answer<Session> {
        session(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn draw_qr_code(&self, request: Request<DrawQrCodeRequest>) -> Answer<DrawQrCodeResponse> {
        let request = request.into_inner();
        let shown = if request.tenant_id == "quiet" { "shop" } else { &request.tenant_id };
        let Some(code) = session(shown)?.qr else {
            let why = format!("tenant {} is linked; there is nothing to scan", request.tenant_id);
            return Err(ApiError::new(ErrorCode::FailedPrecondition, why).into());
        };
        let content = match request.format() {
            QrFormat::Text => code.text,
            other => format!("<{}>", other.as_str_name()),
        };
        let (content, content_type) = (content.into_bytes(), String::new());
        Ok(Response::new(DrawQrCodeResponse { content, content_type, expire_time: code.expire_time }))
    }

    async fn request_pairing_code(&self, request: Request<RequestPairingCodeRequest>) -> Answer<PairingCode> {
        let request = request.into_inner();
        if session(&request.tenant_id)?.status() == SessionStatus::Connected {
            let why =
                format!("tenant {} is linked; log it out first to link another phone", request.tenant_id);
            return Err(ApiError::new(ErrorCode::FailedPrecondition, why).into());
        }
        let phone_number = "+255700000002".to_owned();
        Ok(Response::new(PairingCode { code: "1234ABCD".into(), expire_time: at(200), phone_number }))
    }

    async fn create_scan_link(
        &self,
        request: Request<CreateScanLinkRequest>,
    ) -> Answer<CreateScanLinkResponse> {
        session(&request.into_inner().tenant_id)?;
        let url = "https://portal.example/scan/roost_bm90IGEgcmVhbCBsaW5r".into();
        Ok(Response::new(CreateScanLinkResponse { url, expire_time: at(900) }))
    }

    async fn resume_linking(&self, request: Request<ResumeLinkingRequest>) -> Answer<Session> {
        Ok(Response::new(Session { scan_pause_time: None, ..session(&request.into_inner().tenant_id)? }))
    }

    /// A code, then a phone scans it.
    async fn watch_session(&self, request: Request<WatchSessionRequest>) -> Answer<Self::WatchSessionStream> {
        let waiting = session(&request.into_inner().tenant_id)?;
        if waiting.tenant_id == "quiet" {
            let shown = Session { tenant_id: "quiet".into(), ..session("shop")? };
            return Ok(Response::new(items(vec![waiting, shown])));
        }
        let linked = Session { tenant_id: waiting.tenant_id.clone(), ..session("lodge")? };
        Ok(Response::new(items(vec![waiting, linked])))
    }

    type ImportSessionStream = Items<ImportSessionResponse>;

    async fn import_session(
        &self,
        request: Request<Streaming<ImportSessionRequest>>,
    ) -> Answer<Self::ImportSessionStream> {
        imports::import(request).await
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Answer<Session> {
        let session = session(&request.into_inner().tenant_id)?;
        if session.status() == SessionStatus::Connected {
            let logout_problem = "WhatsApp did not unlink the device: no answer within 8 s".to_owned();
            return Ok(Response::new(Session {
                status: SessionStatus::Disconnected as i32,
                logout_problem,
                ..session
            }));
        }
        let id = session.tenant_id;
        let why = format!("the session of {id} is not connected; there is nothing to log out");
        Err(ApiError::new(ErrorCode::FailedPrecondition, why).into())
    }

    async fn list_session_snapshots(
        &self,
        request: Request<ListSessionSnapshotsRequest>,
    ) -> Answer<ListSessionSnapshotsResponse> {
        session(&request.into_inner().tenant_id)?;
        Ok(Response::new(ListSessionSnapshotsResponse { snapshots: snapshots() }))
    }

    async fn restore_session_snapshot(
        &self,
        request: Request<RestoreSessionSnapshotRequest>,
    ) -> Answer<Worker> {
        let request = request.into_inner();
        match snapshots().into_iter().find(|snapshot| snapshot.id == request.snapshot_id) {
            Some(kept) if kept.state() == SnapshotState::Kept => {
                let order = ForceRestartWorkerRequest { tenant_id: request.tenant_id, ..Default::default() };
                self.force_restart_worker(Request::new(order)).await
            }
            _ => {
                let why = format!("tenant lodge cannot go back to the snapshot {}", request.snapshot_id);
                Err(ApiError::new(ErrorCode::FailedPrecondition, why).into())
            }
        }
    }

    async fn list_snapshot_orphans(
        &self,
        _: Request<ListSnapshotOrphansRequest>,
    ) -> Answer<ListSnapshotOrphansResponse> {
        let orphans = vec![orphan(1, ""), orphan(2, "asha")];
        Ok(Response::new(ListSnapshotOrphansResponse { orphans, ..Default::default() }))
    }

    async fn remove_snapshot_orphan(
        &self,
        request: Request<RemoveSnapshotOrphanRequest>,
    ) -> Answer<SnapshotOrphan> {
        let request = request.into_inner();
        match orphan(1, &request.requested_by) {
            known if known.uid == request.uid => Ok(Response::new(known)),
            _ => Err(unknown("orphaned snapshot", &request.uid)),
        }
    }
}

fn messages() -> Vec<Message> {
    let message = |id, direction: Direction, body: &str| Message {
        id,
        tenant_id: "lodge".into(),
        direction: direction as i32,
        chat_id: "255711111111@c.us".into(),
        body: body.into(),
        whatsapp_id: format!("3EB0{id}"),
        create_time: at(id),
        ..Message::default()
    };
    let too_old = Message {
        state: MessageState::TooOld as i32,
        state_reason: "it was written before the session was linked".into(),
        ..message(0, Direction::In, "Bado?")
    };
    vec![
        message(2, Direction::Out, "Karibu Safari Lodge!\nHow can we help?"),
        message(1, Direction::In, "Habari \u{1b}[31m"),
        too_old,
    ]
}

#[tonic::async_trait]
impl MessageService for Script {
    type WatchMessagesStream = Items<Message>;

    async fn list_messages(&self, _: Request<ListMessagesRequest>) -> Answer<ListMessagesResponse> {
        Ok(Response::new(ListMessagesResponse { messages: messages(), next_page_token: String::new() }))
    }

    async fn erase_chat(&self, request: Request<EraseChatRequest>) -> Answer<EraseChatResponse> {
        let of_lodge = request.into_inner().tenant_id == "lodge";
        Ok(Response::new(EraseChatResponse { erased_rows: if of_lodge { 2 } else { 0 } }))
    }

    async fn list_dead_letters(&self, _: Request<ListDeadLettersRequest>) -> Answer<ListDeadLettersResponse> {
        let dead_letters = vec![dead_letter("in-7"), dead_letter("out-9")];
        Ok(Response::new(ListDeadLettersResponse { dead_letters, next_page_token: String::new() }))
    }

    async fn get_dead_letter(&self, request: Request<GetDeadLetterRequest>) -> Answer<DeadLetter> {
        Ok(Response::new(dead_letter(&request.into_inner().id)))
    }

    async fn redrive_dead_letters(
        &self,
        request: Request<RedriveDeadLettersRequest>,
    ) -> Answer<RedriveDeadLettersResponse> {
        let request = request.into_inner();
        let by_tenant = !request.tenant_id.is_empty();
        let ids = if by_tenant { vec!["in-7".into(), "out-9".into()] } else { vec!["out-9".into()] };
        Ok(Response::new(RedriveDeadLettersResponse { ids, more: by_tenant && request.limit < 100 }))
    }

    async fn watch_messages(&self, _: Request<WatchMessagesRequest>) -> Answer<Self::WatchMessagesStream> {
        Ok(Response::new(items(messages().into_iter().rev().collect())))
    }
}

fn dead_letter(id: &str) -> DeadLetter {
    let is_inbound = id.starts_with("in-");
    DeadLetter {
        id: id.to_owned(),
        tenant_id: "lodge".into(),
        direction: if is_inbound { Direction::In } else { Direction::Out } as i32,
        chat_id: "255711111111@c.us".into(),
        body: "Karibu Safari Lodge!\nHow can we help?".into(),
        whatsapp_id: "3EB02".into(),
        reason: if is_inbound {
            "unknown variant `parade`"
        } else {
            "the recipient is not a valid WhatsApp id"
        }
        .into(),
        attempts: i32::from(!is_inbound),
        create_time: at(2),
        redrivable: !is_inbound,
    }
}
