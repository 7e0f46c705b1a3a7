//! What the scripted coordinator makes of sessions that are imported: lodge and shop may have theirs, idle has it already.

use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{import_session_request::Part, import_session_response, *},
};
use tonic::{Request, Response, Status, Streaming};

use super::{Answer, Items, items, unknown};

pub(super) async fn import(
    request: Request<Streaming<ImportSessionRequest>>,
) -> Answer<Items<ImportSessionResponse>> {
    let mut parts = request.into_inner();
    let Some(Part::Profile(profile)) = next(&mut parts).await? else {
        return Err(refusal("a profile comes first"));
    };
    let (digest, databases) = (profile.digest.len(), profile.databases.join(","));
    if (digest, databases.as_str()) != (64, "https_web.whatsapp.com_0") {
        return Err(refusal(&format!("{digest} digits and the databases {databases}")));
    }
    let accepted = import_session_response::Part::Accepted(ImportAccepted {
        database: databases,
        max_file_bytes: 1_000,
        max_total_bytes: 10_000,
    });
    let imported = |snapshot: &str, done_before| {
        let snapshot_id = snapshot.to_owned();
        import_session_response::Part::Imported(ImportedSession { session: None, snapshot_id, done_before })
    };
    let answer = |part| ImportSessionResponse { part: Some(part) };
    match profile.tenant_id.as_str() {
        "idle" => return Ok(Response::new(items(vec![answer(imported("7-1", true))]))),
        "lodge" | "shop" => {}
        other => return Err(unknown("tenant", other)),
    }
    let accepted = Ok(answer(accepted));
    if profile.validate_only {
        return Ok(Response::new(Box::pin(futures::stream::iter([accepted]))));
    }
    let done = async move { received(parts).await.map(|()| answer(imported("31-1", false))) };
    let answers = futures::StreamExt::chain(futures::stream::iter([accepted]), futures::stream::once(done));
    Ok(Response::new(Box::pin(answers)))
}

/// All of it, as it was announced.
async fn received(mut parts: Streaming<ImportSessionRequest>) -> Result<(), Status> {
    let (mut files, mut bytes, mut content) = (0, 0, 0);
    loop {
        match next(&mut parts).await? {
            Some(Part::File(file)) => {
                files += 1;
                bytes += file.size_bytes;
            }
            Some(Part::Content(more)) => content += more.len() as i64,
            Some(Part::End(end)) if (end.files, end.size_bytes, content) == (files, bytes, bytes) => {
                return Ok(());
            }
            other => return Err(refusal(&format!("the import broke off with {other:?}"))),
        }
    }
}

async fn next(parts: &mut Streaming<ImportSessionRequest>) -> Result<Option<Part>, Status> {
    Ok(parts.message().await?.and_then(|request| request.part))
}

fn refusal(why: &str) -> Status {
    ApiError::new(ErrorCode::InvalidArgument, why).into()
}
