//! Taking sessions over from whatsapp-web.js. Any node can: it seals the profile with the key that nodes alone have, stores it and
//! records it, whoever will have the tenant.

use futures::{Stream, StreamExt};
use roost_cluster::{keys, records::NodeRecord};
use roost_store::Session;

use super::{
    App, Error,
    watch::{Outlet, Watched},
};
use crate::node_rpc::{ImportRequest, ImportStep, NodeImport, ProfilePart, ProfileSender};

/// Nodes that are asked before an import is given up; a node that answers decides.
const NODES_ASKED: usize = 3;

/// What a caller is told.
#[derive(Debug)]
pub enum SessionImport {
    /// The files may be sent.
    Accepted {
        database: String,
        max_file_bytes: u64,
        max_total_bytes: u64,
    },
    Imported {
        session: Box<Session>,
        snapshot: String,
        done_before: bool,
    },
}

impl App {
    /// `parts` are what follows the description; an error among them ends the import, and nothing is changed.
    pub fn import_session<S>(&self, request: ImportRequest, parts: S) -> Result<Watched<SessionImport>, Error>
    where
        S: Stream<Item = Result<ProfilePart, Error>> + Send + Unpin + 'static,
    {
        let app = self.clone();
        self.streams().open(move |outlet| async move { app.pass_on(request, parts, &outlet).await.err() })
    }

    async fn pass_on(
        &self,
        request: ImportRequest,
        mut parts: impl Stream<Item = Result<ProfilePart, Error>> + Send + Unpin,
        outlet: &Outlet<SessionImport>,
    ) -> Result<(), Error> {
        // First: without the database no node can.
        self.store()?;
        let (tenant, is_to_send) = (request.tenant.clone(), !request.validate_only);
        let (to_node, mut answers) = self.a_node_for(request).await?;
        let mut to_node = Some(to_node).filter(|_| is_to_send);
        loop {
            let step = tokio::select! {
                biased;
                step = answers.next() => step?,
                part = next(&mut parts), if to_node.is_some() => {
                    let part = part?;
                    let is_last = matches!(part, ProfilePart::End { .. });
                    let goes_on = match &to_node {
                        Some(to_node) => to_node.send(part).await && !is_last,
                        None => false,
                    };
                    to_node = to_node.filter(|_| goes_on);
                    continue;
                }
            };
            match step {
                Some(ImportStep::Accepted { database, max_file_bytes, max_total_bytes }) => {
                    outlet.send(SessionImport::Accepted { database, max_file_bytes, max_total_bytes }).await;
                }
                Some(ImportStep::Imported { snapshot, done_before }) => {
                    let session = Box::new(self.store()?.get_session(&tenant).await?);
                    outlet.send(SessionImport::Imported { session, snapshot, done_before }).await;
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    /// One that takes the import, beginning with another for each tenant.
    async fn a_node_for(&self, request: ImportRequest) -> Result<(ProfileSender, NodeImport), Error> {
        let nodes = self.registry().list(keys::NODES).await?.entries;
        let mut nodes = nodes.iter().map(keys::decode::<NodeRecord>).collect::<Result<Vec<_>, _>>()?;
        nodes.retain(|node| !node.leaving);
        if !nodes.is_empty() {
            let first = request
                .tenant
                .as_str()
                .bytes()
                .fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
            let first = first % nodes.len();
            nodes.rotate_left(first);
            // A node that is impaired may lack just what an import needs.
            nodes.sort_by_key(|node| !node.impairments.is_empty());
        }
        let mut silences = Vec::new();
        for node in nodes.iter().take(NODES_ASKED) {
            match self.node_rpc.import_session(node, request.clone()).await {
                Ok(begun) => return Ok(begun),
                Err(silence) => silences.push(silence.to_string()),
            }
        }
        let why = if silences.is_empty() { "there is none".to_owned() } else { silences.join("; ") };
        Err(Error::NoNodeForImport { why })
    }
}

async fn next(
    parts: &mut (impl Stream<Item = Result<ProfilePart, Error>> + Unpin),
) -> Result<ProfilePart, Error> {
    parts.next().await.unwrap_or(Err(Error::ImportBrokenOff))
}
