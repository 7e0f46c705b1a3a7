//! `roost session qr`: the code in the terminal, as text, or in a file.

use std::{fs, path::PathBuf};

use roost_proto::v1::{
    DrawQrCodeRequest, GetSessionRequest, QrFormat, ResumeLinkingRequest, Session, SessionStatus,
    WatchSessionRequest,
};

use super::Context;
use crate::{failure::Failure, qr, views::SessionView};

#[derive(Debug, clap::Args)]
pub struct Qr {
    tenant: String,
    /// Wait for a code, draw each new one, and end when a phone is linked.
    #[arg(short, long, conflicts_with = "Form")]
    watch: bool,
    #[command(flatten)]
    form: Form,
}

/// In place of the drawing.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Form {
    /// Write it as a PNG; - is standard output.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Write it as an SVG; - is standard output.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print what the phone reads, for whoever draws it.
    #[arg(long)]
    raw: bool,
}

impl Qr {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Self { tenant: tenant_id, watch, form } = self;
        if !context.output.is_data() {
            wake(context, &tenant_id).await?;
        }
        match form {
            Form { png: Some(file), .. } => write(context, tenant_id, QrFormat::Png, file).await,
            Form { svg: Some(file), .. } => write(context, tenant_id, QrFormat::Svg, file).await,
            Form { raw: true, .. } => {
                let text = get(context, tenant_id, QrFormat::Text).await?;
                context.output.text(&String::from_utf8_lossy(&text))
            }
            _ if watch => watch_session(context, tenant_id).await,
            _ => show(context, tenant_id).await,
        }
    }
}

/// Whoever asks for a code is there to scan it: where no more are shown they are again, and the first is awaited.
async fn wake(context: &mut Context, tenant: &str) -> Result<(), Failure> {
    let mut client = context.admin()?.sessions();
    let request = WatchSessionRequest { tenant_id: tenant.to_owned() };
    let mut changes = client.watch_session(request).await?.into_inner();
    let present = changes.message().await?.unwrap_or_default();
    if present.scan_pause_time.is_none() {
        return Ok(());
    }
    context.output.note(&format!("{tenant}: nobody had scanned its codes; new ones are on their way"));
    client.resume_linking(ResumeLinkingRequest { tenant_id: tenant.to_owned() }).await?;
    while let Some(session) = changes.message().await? {
        if session.qr.is_some() || session.status() == SessionStatus::Connected {
            break;
        }
    }
    Ok(())
}

async fn get(context: &mut Context, tenant_id: String, format: QrFormat) -> Result<Vec<u8>, Failure> {
    let request = DrawQrCodeRequest { tenant_id, format: format as i32 };
    Ok(context.admin()?.sessions().draw_qr_code(request).await?.into_inner().content)
}

async fn write(
    context: &mut Context,
    tenant_id: String,
    format: QrFormat,
    file: PathBuf,
) -> Result<(), Failure> {
    let picture = get(context, tenant_id.clone(), format).await?;
    if file.as_os_str() == "-" {
        return context.output.raw(&picture);
    }
    let shown = file.display();
    fs::write(&file, picture).map_err(|error| Failure::Refused(format!("cannot write {shown}: {error}")))?;
    context
        .output
        .note(&format!("{tenant_id}: the code is in {shown}, and WhatsApp replaces it within a minute"));
    Ok(())
}

async fn show(context: &mut Context, tenant_id: String) -> Result<(), Failure> {
    let session =
        context.admin()?.sessions().get_session(GetSessionRequest { tenant_id }).await?.into_inner();
    if context.output.is_data() {
        context.output.one(&SessionView::from(session))
    } else {
        draw(context, &session)
    }
}

async fn watch_session(context: &mut Context, tenant_id: String) -> Result<(), Failure> {
    let mut changes =
        context.admin()?.sessions().watch_session(WatchSessionRequest { tenant_id }).await?.into_inner();
    while let Some(session) = changes.message().await? {
        let linked = session.status() == SessionStatus::Connected;
        if context.output.is_data() {
            context.output.event(&SessionView::from(session))?;
        } else if linked || session.qr.is_some() {
            draw(context, &session)?;
        }
        if linked {
            return Ok(());
        }
    }
    Err(Failure::Refused("the coordinator ended the stream before a phone was linked; try again".into()))
}

fn draw(context: &mut Context, session: &Session) -> Result<(), Failure> {
    let tenant = &session.tenant_id;
    match (&session.qr, session.status()) {
        (Some(code), _) => {
            let drawn = qr::draw(&code.text).map_err(|error| {
                Failure::Refused(format!("the code of {tenant} cannot be drawn: {error}"))
            })?;
            context.output.text(&drawn)?;
            context
                .output
                .note(&format!("{tenant}: on the phone, WhatsApp > Linked devices > Link a device"));
            Ok(())
        }
        (None, SessionStatus::Connected) => {
            context.output.text(&format!("{tenant} is linked; nothing to scan"))
        }
        (None, status) => Err(Failure::Refused(format!(
            "no QR code of {tenant} is waiting (its session is {}); start its worker with `roost worker start {tenant}`, \
             or wait for a code with --watch",
            status.as_str_name().trim_start_matches("SESSION_STATUS_")
        ))),
    }
}
