//! A watch of etcd as a channel that ends when the watch cannot go on.

use etcd_client::{Client, Error, EventType, WatchOptions, WatchResponse, WatchStream};
use roost_model::ids::Revision;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::convert;
use crate::registry::{Change, WATCH_BUFFER};

/// Open once etcd has said so; what it sends after that is for [`pump`].
pub(super) async fn open(client: Client, key: String, after: Revision) -> Result<WatchStream, Error> {
    // Fragments: the changes of a large commit may exceed what the client takes in one message.
    let options = WatchOptions::new().with_prefix().with_start_revision(after.0 + 1).with_fragment();
    let mut stream = client.watch_client().watch(key, Some(options)).await?;
    match stream.message().await? {
        Some(answer) if answer.created() && !answer.canceled() => Ok(stream),
        Some(answer) => Err(Error::WatchError(format!("not created: {}", answer.cancel_reason()))),
        None => Err(Error::WatchError("the stream ended before the watch was created".to_owned())),
    }
}

/// Passes the changes on until the stream or the reader ends, or `ended` is cancelled. Waits for a slow reader: etcd keeps what it has not sent.
pub(super) fn pump(
    mut stream: WatchStream,
    prefix: String,
    ended: CancellationToken,
) -> mpsc::Receiver<Vec<Change>> {
    let (sender, receiver) = mpsc::channel(WATCH_BUFFER);
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                message = stream.message() => message,
                () = sender.closed() => return,
                () = ended.cancelled() => {
                    tracing::debug!("a watch is on a member that is silent");
                    return;
                }
            };
            match message {
                Ok(Some(answer)) if !answer.canceled() && answer.compact_revision() == 0 => {
                    let changes = changes(&prefix, &answer);
                    if !changes.is_empty() && sender.send(changes).await.is_err() {
                        return;
                    }
                }
                Ok(Some(answer)) => {
                    tracing::debug!(reason = answer.cancel_reason(), "etcd canceled a watch");
                    return;
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, "a watch was cut off");
                    return;
                }
            }
        }
    });
    receiver
}

fn changes(prefix: &str, answer: &WatchResponse) -> Vec<Change> {
    let known = answer.events().iter().filter_map(|event| Some((event.event_type(), event.kv()?)));
    known
        .map(|(kind, found)| match kind {
            EventType::Put => Change::Put(convert::entry(prefix, found.clone())),
            EventType::Delete => Change::Delete {
                key: convert::relative(prefix, found.key()),
                mod_revision: Revision(found.mod_revision()),
            },
        })
        .collect()
}
