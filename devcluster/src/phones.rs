//! The demo tenants' phones: each watches its tenant's session and scans the QR code when one is shown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use roost_proto::v1::{Session, WatchSessionRequest};
use tokio::task::JoinSet;

use super::{
    record::TenantRecord,
    simulator::{Scan, Simulator},
};
use roost_proto::client::Admin;

/// After the stream has ended or a scan has failed: the coordinator restarts, or the simulator does.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Dropping it puts the phones away.
#[derive(Debug)]
pub struct Phones {
    tasks: JoinSet<()>,
    scans: Arc<AtomicU64>,
}

impl Phones {
    pub fn watch(admin: &Admin, simulator: &Simulator, tenants: &[TenantRecord]) -> Self {
        let mut phones = Self { tasks: JoinSet::new(), scans: Arc::default() };
        for tenant in tenants {
            phones.add(admin.clone(), simulator.clone(), tenant.clone());
        }
        phones
    }

    /// One more phone.
    pub fn add(&mut self, admin: Admin, simulator: Simulator, tenant: TenantRecord) {
        let phone = Phone { admin, simulator, tenant, scans: self.scans.clone() };
        self.tasks.spawn(phone.run());
    }

    /// How many codes have been scanned so far. A failover adds none.
    pub fn scans(&self) -> u64 {
        self.scans.load(Ordering::Relaxed)
    }
}

struct Phone {
    admin: Admin,
    simulator: Simulator,
    tenant: TenantRecord,
    scans: Arc<AtomicU64>,
}

impl Phone {
    async fn run(self) {
        loop {
            // An error is not reported: what the cluster shows of the tenant says that it is not linked.
            self.watch_once().await.ok();
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
        }
    }

    /// Ends when the coordinator goes away, or after a scan failed; the next watch shows the same code again.
    async fn watch_once(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let request = WatchSessionRequest { tenant_id: self.tenant.id.clone() };
        let mut sessions = self.admin.sessions().watch_session(request).await?.into_inner();
        let mut scanned = String::new();
        while let Some(Session { qr, .. }) = sessions.message().await? {
            let Some(code) = qr.map(|qr| qr.text).filter(|code| !code.is_empty() && *code != scanned) else {
                continue;
            };
            if self.simulator.scan(&code, &self.tenant.phone, &self.tenant.name).await? == Scan::Linked {
                self.scans.fetch_add(1, Ordering::Relaxed);
            }
            scanned = code;
        }
        Ok(())
    }
}
