//! The beginning of a watch.

use etcd_client::{Client, Error, WatchOptions, WatchStream};
use roost_model::ids::Revision;

/// Open once etcd has said so; what it sends after that is for who follows it.
pub(super) async fn open_watch(
    client: Client,
    key: String,
    keys: WatchOptions,
    after: Revision,
) -> Result<WatchStream, Error> {
    // Fragments: the changes of a large commit may exceed what the client takes in one message.
    let options = keys.with_start_revision(after.0 + 1).with_fragment();
    let mut stream = client.watch_client().watch(key, Some(options)).await?;
    match stream.message().await? {
        Some(answer) if answer.created() && !answer.canceled() => Ok(stream),
        Some(answer) => Err(Error::WatchError(format!("not created: {}", answer.cancel_reason()))),
        None => Err(Error::WatchError("the stream ended before the watch was created".to_owned())),
    }
}
