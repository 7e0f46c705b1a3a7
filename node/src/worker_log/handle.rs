//! What the rest of the node has of the tenants' logs.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use roost_model::ids::{Generation, TenantId};
use tokio::sync::{mpsc, oneshot};

use super::{
    files::{LogBounds, LogFiles, OpenLog},
    layer::{Lines, WorkerLogLayer},
    levels::LogLevels,
    line::LineFilter,
    unsaved::Unsaved,
    writer::{Command, Followed, Follower, Unwritten, Writer},
};

/// Lines that wait for the writer; 8 KiB each at the most.
pub(super) const WAITING: usize = 4_096;
/// Lines that wait for a follower.
pub(super) const WAITING_FOLLOWED: usize = 512;

/// Between a layer, which is there before anything can be logged, and the files, which are known later.
#[derive(Debug)]
pub struct WorkerLogInbox {
    layer: WorkerLogLayer,
    commands: mpsc::Receiver<Command>,
}

/// What the process logs from now on waits here, as much of it as is bounded.
pub fn worker_log() -> (WorkerLogLayer, WorkerLogInbox) {
    let (to, commands) = mpsc::channel(WAITING);
    let (dropped, levels) = (Arc::default(), LogLevels::default());
    let layer = WorkerLogLayer { to, dropped, levels, lines: Lines::AsTheNode };
    (layer.clone(), WorkerLogInbox { layer, commands })
}

impl WorkerLogInbox {
    /// Writes into `<state_dir>/logs` from now on, on a thread of its own.
    pub fn start(self, state_dir: &Path, bounds: LogBounds) -> io::Result<WorkerLog> {
        let unsaved = Arc::<Unsaved>::default();
        let writer = Writer {
            files: LogFiles::new(state_dir.join("logs"), bounds)?,
            dropped: self.layer.dropped,
            unsaved: unsaved.clone(),
            levels: self.layer.levels.clone(),
            followers: HashMap::new(),
            since_sweep: 0,
            unwritten: Unwritten::default(),
        };
        let commands = self.commands;
        std::thread::Builder::new().name("worker-log".to_owned()).spawn(move || writer.run(commands))?;
        Ok(WorkerLog { to: self.layer.to, unsaved, levels: self.layer.levels })
    }
}

/// The tenants' logs of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerLog {
    pub(super) to: mpsc::Sender<Command>,
    pub(super) unsaved: Arc<Unsaved>,
    /// What tenants have of their own.
    pub(crate) levels: LogLevels,
}

/// The writer is there as long as the process.
fn gone() -> io::Error {
    io::Error::other("the writer of the logs has ended")
}

impl WorkerLog {
    /// The lines that there are, and what is to be read on.
    pub(crate) async fn follow(
        &self,
        tenant: &TenantId,
        filter: LineFilter,
    ) -> io::Result<(OpenLog, mpsc::Receiver<Followed>)> {
        let (to, followed) = mpsc::channel(WAITING_FOLLOWED);
        let open = self.ask(tenant, Some(Follower { filter, to, missed: 0 })).await?;
        Ok((open, followed))
    }

    /// The lines that there are.
    pub(crate) async fn open(&self, tenant: &TenantId) -> io::Result<OpenLog> {
        self.ask(tenant, None).await
    }

    async fn ask(&self, tenant: &TenantId, follower: Option<Follower>) -> io::Result<OpenLog> {
        let (reply, opened) = oneshot::channel();
        let open = Command::Open { tenant: tenant.clone(), follower, reply };
        self.to.send(open).await.map_err(|_| gone())?;
        opened.await.map_err(|_| gone())?
    }

    /// The tenant's worker of this generation is gone from this node; to be called when it has been taken from what the node holds.
    pub(crate) async fn ended(&self, tenant: &TenantId, generation: Generation) {
        let ended = Command::Ended { tenant: tenant.clone(), generation: generation.0 };
        // An error cannot be: see `gone`.
        let _ended = self.to.send(ended).await;
    }

    /// The tenant was deleted: nothing of its log stays here.
    pub(crate) async fn remove(&self, tenant: &TenantId) {
        let _ended = self.to.send(Command::Remove { tenant: tenant.clone() }).await;
    }

    pub(super) async fn sweep(&self) {
        let _ended = self.to.send(Command::Sweep).await;
    }

    /// Returns once what was logged before is written.
    pub(super) async fn until_written(&self) {
        let nobody = TenantId::new("nobody").ok();
        if let Some(nobody) = nobody {
            let _opened = self.open(&nobody).await;
        }
    }
}
