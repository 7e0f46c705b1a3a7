//! Whether an object store keeps what the sessions' safety rests on. A directory does by its file system; of a server it is only
//! known once it was tried out, for there are some that take a condition and pay no heed to it. So it is tried out on an object of
//! the node's own, before the node registers and before anything is put that must not replace what is there.
//!
//! | what is relied on | for | shown by |
//! |---|---|---|
//! | put if there is none | manifests, the marker: two writers never both succeed | a second put is refused, and the first is there |
//! | put if it is what was read | the marker under a new key | a put under the tag of before is refused |
//! | what was put can be read | a save that counts can be restored | it is read at once |
//! | what was put is listed | which snapshot is the newest, and what a prune may remove | it is listed at once |
//! | what was removed is gone | a session that was forgotten | it is neither read nor listed |
//!
//! That a put is whole or not at all cannot be tried out from here, and need not be: what is cut short does not open.

use object_store::{Error, PutMode, UpdateVersion};
use uuid::Uuid;

use super::SessionError;
use super::error::Unfit;
use super::objects::Objects;
use super::s3::answer;

/// All of the table above, once. Leaves nothing.
pub(super) async fn prove(objects: &Objects, folder: &str, object: &str) -> Result<(), SessionError> {
    // A crash may have left it.
    objects.remove(object).await?;
    let proven = prove_on(objects, folder, object).await;
    let removed = objects.remove(object).await;
    proven.and(removed)?;
    if is_there(objects, object).await? || is_listed(objects, folder, object).await? {
        return Err(Unfit::NotRemoved.into());
    }
    Ok(())
}

async fn prove_on(objects: &Objects, folder: &str, object: &str) -> Result<(), SessionError> {
    let [first, second, third] = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()].map(|it| it.to_string());
    put_first(objects, object, &first).await?;
    let version = read(objects, object, &first).await?;
    if !is_listed(objects, folder, object).await? {
        return Err(Unfit::NotListed.into());
    }
    match put(objects, object, &second, PutMode::Create).await {
        Err(SessionError::Store { source: Error::AlreadyExists { .. }, .. }) => {}
        Err(error) => return Err(error),
        Ok(()) => return Err(Unfit::PutsOver.into()),
    }
    read(objects, object, &first).await?;
    if objects.has_versions() {
        prove_replacing(objects, object, version, (&second, &third)).await?;
    }
    Ok(())
}

/// Where there is none; one that is there already is this very one, put by a first try whose answer was lost, or another node of the
/// same name is at the same.
async fn put_first(objects: &Objects, object: &str, content: &str) -> Result<(), SessionError> {
    match put(objects, object, content, PutMode::Create).await {
        Err(SessionError::Store { source, .. }) if answer::is_not_implemented(&source) => {
            Err(Unfit::NoPutIfAbsent.into())
        }
        Err(SessionError::Store { source: Error::AlreadyExists { .. }, .. }) => Ok(()),
        put => put,
    }
}

async fn prove_replacing(
    objects: &Objects,
    object: &str,
    version: UpdateVersion,
    (second, third): (&str, &str),
) -> Result<(), SessionError> {
    match put(objects, object, second, PutMode::Update(version.clone())).await {
        Err(SessionError::Store { source, .. }) if answer::is_not_implemented(&source) => {
            return Err(Unfit::NoReplace.into());
        }
        // By a first try whose answer was lost, if it is there.
        Err(SessionError::Store { source: Error::Precondition { .. }, .. }) => {
            return match read(objects, object, second).await {
                Err(SessionError::Unfit(_)) => Err(Unfit::NoReplace.into()),
                read => read.map(drop),
            };
        }
        put => put?,
    }
    match put(objects, object, third, PutMode::Update(version)).await {
        Err(SessionError::Store { source: Error::Precondition { .. }, .. }) => {}
        Err(error) => return Err(error),
        Ok(()) => return Err(Unfit::ReplacesAnother.into()),
    }
    read(objects, object, second).await.map(drop)
}

async fn put(objects: &Objects, object: &str, content: &str, mode: PutMode) -> Result<(), SessionError> {
    objects.put_unproven(object, content.into(), mode).await
}

/// The version of what was read, if it is this.
async fn read(objects: &Objects, object: &str, content: &str) -> Result<UpdateVersion, SessionError> {
    match objects.get_version(object).await {
        Ok((found, version)) if found == content.as_bytes() => Ok(version),
        Ok(_) | Err(SessionError::Missing { .. }) => Err(Unfit::NotRead.into()),
        Err(error) => Err(error),
    }
}

async fn is_there(objects: &Objects, object: &str) -> Result<bool, SessionError> {
    match objects.get(object).await {
        Err(SessionError::Missing { .. }) => Ok(false),
        got => got.map(|_| true),
    }
}

async fn is_listed(objects: &Objects, folder: &str, object: &str) -> Result<bool, SessionError> {
    Ok(objects.list(folder).await?.iter().any(|listed| listed == object))
}
