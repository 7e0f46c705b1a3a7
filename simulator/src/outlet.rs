//! The world's end of a connection: a bounded queue of frames, and a way to close.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::wire::ToPage;

/// Frames that may wait for a page that does not read. Far more than an honest page ever leaves: messages are
/// limited by the delivery window, and everything else answers a frame of the page.
const WAITING_FRAMES: usize = 4096;

#[derive(Debug, Clone)]
pub struct Outlet {
    frames: mpsc::Sender<ToPage>,
    close: Arc<Notify>,
}

/// The socket's end of an [`Outlet`].
#[derive(Debug)]
pub struct Inlet {
    pub frames: mpsc::Receiver<ToPage>,
    pub close: Arc<Notify>,
}

impl Outlet {
    pub fn new() -> (Self, Inlet) {
        let (sender, receiver) = mpsc::channel(WAITING_FRAMES);
        let close = Arc::new(Notify::new());
        (Self { frames: sender, close: close.clone() }, Inlet { frames: receiver, close })
    }

    /// A page that has left thousands of frames unread is cut off: it gets everything again when it reconnects.
    pub fn send(&self, frame: ToPage) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.frames.try_send(frame) {
            tracing::warn!("a page does not read its frames, closing its connection");
            self.close();
        }
    }

    /// Closes the connection from the server's side.
    pub fn close(&self) {
        self.close.notify_one();
    }
}
