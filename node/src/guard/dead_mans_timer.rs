//! The child's own end at the guard's deadline: a timer of the kernel that kills this process.
//!
//! Guard and child may be stopped together, by Ctrl-Z in a terminal, a debugger, or the freezer of a container, while the
//! browsers run on. Then nothing of ours acts, but the kernel does: SIGKILL ends a stopped process too, and its end is
//! its browsers' (parent death signal). The clock is the deadline's own, CLOCK_BOOTTIME.
//!
//! What is left: the old (v1) freezer on guard and child alone, for which SIGKILL waits until the thaw, and a virtual
//! machine that is paused with all its clocks.

use std::{
    io,
    sync::mpsc::{self, SyncSender},
    thread,
    time::Duration,
};

use nix::{
    sys::{
        signal::{SigEvent, SigevNotify, Signal},
        time::{TimeSpec, TimeValLike},
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::ClockId,
};

/// Armed from [`DeadMansTimer::set`] until it is set to none. It is not inherited by what this process starts.
#[derive(Debug)]
pub struct DeadMansTimer {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Order {
    at: Option<Duration>,
    done: SyncSender<nix::Result<()>>,
}

impl DeadMansTimer {
    /// The handle of a timer stays in one thread, so it has one of its own.
    pub fn start() -> io::Result<Self> {
        let (orders, received) = mpsc::channel::<Order>();
        let (made, is_made) = mpsc::sync_channel(1);
        thread::Builder::new().name("dead man's timer".to_owned()).spawn(move || {
            let kill = SigevNotify::SigevSignal { signal: Signal::SIGKILL, si_value: 0 };
            let mut timer = match Timer::new(ClockId::CLOCK_BOOTTIME, SigEvent::new(kill)) {
                Ok(timer) => timer,
                Err(error) => {
                    let _ = made.send(Err(error));
                    return;
                }
            };
            let _ = made.send(Ok(()));
            while let Ok(Order { at, done }) = received.recv() {
                // Whoever ordered it may have given up waiting.
                let _ = done.send(set(&mut timer, at));
            }
        })?;
        is_made.recv().map_err(io::Error::other)??;
        Ok(Self { orders })
    }

    /// When it returns, this process ends at that time of CLOCK_BOOTTIME, and at no other.
    pub fn set(&self, at: Option<Duration>) -> io::Result<()> {
        let (done, is_done) = mpsc::sync_channel(1);
        self.orders.send(Order { at, done }).map_err(io::Error::other)?;
        Ok(is_done.recv().map_err(io::Error::other)??)
    }
}

fn set(timer: &mut Timer, at: Option<Duration>) -> nix::Result<()> {
    // Zero disarms it, so a time that is over is the first moment after.
    let nanoseconds = at.map_or(0, |at| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX).max(1));
    let once = Expiration::OneShot(TimeSpec::nanoseconds(nanoseconds));
    timer.set(once, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
}
