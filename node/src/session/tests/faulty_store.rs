//! An object store in memory whose calls fail before or after they have taken effect, or take effect when nobody waits for
//! them any more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::dice::Dice;
use crate::blocking::run_blocking;

#[derive(Clone)]
pub(super) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

/// What it does always, as some servers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    IgnoresIfNoneMatch,
    KnowsNoIfNoneMatch,
    IgnoresIfMatch,
    KnowsNoIfMatch,
    ListsLater,
    ReadsLater,
    RemovesLater,
}

struct Faults {
    dice: Mutex<Dice>,
    /// Of a hundred calls so many fail, and a third of that are held up.
    percent: Mutex<u64>,
    let_go: Notify,
    /// As a directory whose server is away: each call takes a thread until the other end is dropped.
    hangs: Mutex<Option<Arc<Mutex<mpsc::Receiver<()>>>>>,
    /// Whether it can put only what is not there, for which files are linked.
    has_links: AtomicBool,
    /// Under way.
    puts: AtomicUsize,
    calls: AtomicUsize,
    held_up: AtomicUsize,
    flaw: Mutex<Option<Flaw>>,
}

impl FaultyStore {
    pub(super) fn new(dice: Dice) -> Self {
        Self::over(Arc::new(InMemory::new()), dice)
    }

    pub(super) fn over(inner: Arc<dyn ObjectStore>, dice: Dice) -> Self {
        let (percent, let_go) = (Mutex::new(0), Notify::new());
        let faults = Faults {
            dice: Mutex::new(dice),
            percent,
            let_go,
            hangs: Mutex::new(None),
            has_links: AtomicBool::new(true),
            puts: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            held_up: AtomicUsize::new(0),
            flaw: Mutex::new(None),
        };
        Self { inner, faults: Arc::new(faults) }
    }

    pub(super) fn set_faults(&self, percent: u64) {
        *self.faults.percent.lock() = percent;
    }

    /// What was held up takes effect.
    pub(super) fn let_go(&self) {
        self.faults.let_go.notify_waiters();
    }

    /// Until what is returned is dropped.
    pub(super) fn hang(&self) -> mpsc::Sender<()> {
        let (end, hangs) = mpsc::channel();
        *self.faults.hangs.lock() = Some(Arc::new(Mutex::new(hangs)));
        end
    }

    /// How many are under way.
    pub(super) fn puts(&self) -> usize {
        self.faults.puts.load(Ordering::Relaxed)
    }

    pub(super) fn set_flaw(&self, flaw: Flaw) {
        *self.faults.flaw.lock() = Some(flaw);
    }

    fn has(&self, flaw: Flaw) -> bool {
        *self.faults.flaw.lock() == Some(flaw)
    }

    /// What was begun and is not held up has taken effect, whether somebody waits for it or not.
    pub(super) async fn settle(&self) {
        let under_way =
            || self.faults.calls.load(Ordering::Relaxed) - self.faults.held_up.load(Ordering::Relaxed);
        // Whoever is about to call does it first, for the clock of a test that pauses it goes on when nothing else does.
        tokio::time::sleep(Duration::from_millis(1)).await;
        while under_way() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(super) fn refuse_links(&self) {
        self.faults.has_links.store(false, Ordering::Relaxed);
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let _counted = Counted::new(&self.faults.calls);
        let hangs = self.faults.hangs.lock().clone();
        if let Some(hangs) = hangs {
            run_blocking(move || hangs.lock().recv()).await.expect_err("nothing is sent");
        }
        let percent = *self.faults.percent.lock();
        let drawn = self.faults.dice.lock().roll(300);
        let broken = || Error::Generic { store: "faulty", source: "it broke".into() };
        if drawn < percent {
            return Err(broken());
        }
        if drawn < 2 * percent {
            call.await?;
            return Err(broken());
        }
        if drawn < 3 * percent {
            let _counted = Counted::new(&self.faults.held_up);
            self.faults.let_go.notified().await;
        }
        call.await
    }
}

/// One more, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(of: &'a AtomicUsize) -> Self {
        of.fetch_add(1, Ordering::Relaxed);
        Self(of)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn not_implemented() -> Error {
    Error::NotImplemented { operation: "a condition".into(), implementer: "FaultyStore".into() }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, to: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if opts.mode == PutMode::Create && !self.faults.has_links.load(Ordering::Relaxed) {
            let refused = io::Error::from_raw_os_error(rustix::io::Errno::PERM.raw_os_error());
            return Err(Error::Generic { store: "files", source: refused.into() });
        }
        let opts = match opts.mode {
            PutMode::Create if self.has(Flaw::KnowsNoIfNoneMatch) => return Err(not_implemented()),
            PutMode::Update(_) if self.has(Flaw::KnowsNoIfMatch) => return Err(not_implemented()),
            PutMode::Create if self.has(Flaw::IgnoresIfNoneMatch) => PutMode::Overwrite.into(),
            PutMode::Update(_) if self.has(Flaw::IgnoresIfMatch) => PutMode::Overwrite.into(),
            _ => opts,
        };
        let _counted = Counted::new(&self.faults.puts);
        self.call(self.inner.put_opts(to, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, opts).await
    }

    async fn get_opts(&self, from: &Path, opts: GetOptions) -> Result<GetResult> {
        if self.has(Flaw::ReadsLater) {
            return Err(Error::NotFound { path: from.to_string(), source: "not yet".into() });
        }
        self.call(self.inner.get_opts(from, opts)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let removed = paths.and_then(move |path| {
            let store = store.clone();
            async move {
                if !store.has(Flaw::RemovesLater) {
                    store.call(store.inner.delete(&path)).await?;
                }
                Ok(path)
            }
        });
        removed.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.has(Flaw::ListsLater) {
            return stream::empty().boxed();
        }
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed =
            async move { store.call(store.inner.list(prefix.as_ref()).try_collect::<Vec<_>>()).await };
        stream::once(listed)
            .map_ok(|listed| stream::iter(listed.into_iter().map(Ok::<_, Error>)))
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
