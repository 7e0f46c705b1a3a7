//! `roost session`

use clap::Subcommand;
use roost_proto::v1::{
    CreateScanLinkRequest, GetSessionRequest, ListSessionSnapshotsRequest, LogoutRequest,
    RestoreSessionSnapshotRequest, ResumeLinkingRequest, WatchSessionRequest,
};

use super::{Context, attribution::Attribution, consent::Consent, pair, session_import, session_qr};
use crate::{
    failure::Failure,
    views::{LinkView, SessionSnapshotView, SessionView, WorkerView},
};

#[derive(Debug, Subcommand)]
pub enum SessionVerb {
    /// Shows the session, and whose account is linked.
    Get { tenant: String },
    /// Draws the QR code that links a phone, or writes it down.
    Qr(session_qr::Qr),
    /// Gives a code that links the phone when it is typed there, in place of a scan.
    Pair(pair::Pair),
    /// Makes a link by which somebody else scans the QR code, for 15 minutes and until a phone is linked.
    ScanLink { tenant: String },
    /// Shows QR codes again where nobody has scanned those before.
    Resume { tenant: String },
    /// Prints the session as it is, then each change, until Ctrl-C.
    Watch { tenant: String },
    /// Lists the snapshots of the session that are kept, the newest first.
    Snapshots { tenant: String },
    /// Has the next start begin from an older snapshot; a worker that runs is started anew at once. Asks first.
    Restore {
        tenant: String,
        /// As `roost session snapshots` lists them.
        snapshot: String,
        #[command(flatten)]
        attribution: Attribution,
        #[command(flatten)]
        consent: Consent,
    },
    /// Takes the session of a stopped whatsapp-web.js over, without a scan; the worker goes on from it when it is started.
    Import(session_import::Import),
    /// Unlinks the phone and forgets the session; a new QR code must be scanned. Asks first.
    Logout {
        tenant: String,
        #[command(flatten)]
        consent: Consent,
    },
}

impl SessionVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.sessions();
        match self {
            Self::Get { tenant: tenant_id } => {
                let session = client.get_session(GetSessionRequest { tenant_id }).await?.into_inner();
                context.output.one(&SessionView::from(session))
            }
            Self::Qr(qr) => qr.run(context).await,
            Self::Pair(pair) => pair.run(context).await,
            Self::ScanLink { tenant: tenant_id } => {
                let made = client.create_scan_link(CreateScanLinkRequest { tenant_id }).await?.into_inner();
                context.output.one(&LinkView::to(made.url))?;
                context.output.note(
                    "whoever opens it within 15 minutes can link a phone: the one before counts no more",
                );
                Ok(())
            }
            Self::Import(import) => import.run(context).await,
            Self::Resume { tenant: tenant_id } => {
                let session = client.resume_linking(ResumeLinkingRequest { tenant_id }).await?.into_inner();
                context.output.one(&SessionView::from(session))
            }
            Self::Watch { tenant: tenant_id } => {
                let mut changes = client.watch_session(WatchSessionRequest { tenant_id }).await?.into_inner();
                while let Some(session) = changes.message().await? {
                    context.output.event(&SessionView::from(session))?;
                }
                Ok(())
            }
            Self::Snapshots { tenant: tenant_id } => {
                let request = ListSessionSnapshotsRequest { tenant_id };
                let listed = client.list_session_snapshots(request).await?.into_inner();
                let rows: Vec<_> = listed.snapshots.into_iter().map(SessionSnapshotView::from).collect();
                context.output.list(&rows)
            }
            Self::Restore { tenant: tenant_id, snapshot: snapshot_id, attribution, consent } => {
                consent.obtain(&format!(
                    "take the session of {tenant_id} back to the snapshot {snapshot_id} (what was saved since is \
                     dropped for good; customers' phones may ask for messages since then once more; replies that may \
                     have been sent follow its resend policy)"
                ))?;
                let (requested_by, reason) = attribution.into_parts();
                let order = RestoreSessionSnapshotRequest { tenant_id, snapshot_id, requested_by, reason };
                let worker = client.restore_session_snapshot(order).await?.into_inner();
                context.output.one(&WorkerView::from(worker))
            }
            Self::Logout { tenant: tenant_id, consent } => {
                consent.obtain(&format!("unlink the phone of {tenant_id} and forget its session"))?;
                let session = client.logout(LogoutRequest { tenant_id }).await?.into_inner();
                context.output.one(&SessionView::from(session))
            }
        }
    }
}
