//! `roost top`: nodes and tenants on a terminal, as they are at this moment.
//!
//! ```text
//!  streams of the API ─► feed ─► picture ─► order (sort, filter) ─► draw: the rows that are visible
//!                                   ▲
//!              keys ─► keys ─► view ┘
//! ```
//!
//! Nothing is asked for by the clock: workers and their figures come by WatchWorkers, nodes are listed anew when an event or a worker
//! that moves says that something has become of them, a log is followed. The screen is drawn anew at most four times a second, and at
//! once after a key; not at all when nothing has changed.

mod draw;
mod feed;
mod keys;
mod line;
mod nodes;
mod order;
mod pages;
mod picture;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use std::{env, io::IsTerminal, time::Duration};

use clap::Args;
use tokio::time::{Instant, sleep_until};

use self::{
    draw::Paint,
    feed::Feed,
    pages::Pages,
    screen::Screen,
    view::{Ask, View},
};
use super::{
    Context,
    signals::{self, Signals},
    worker::WorkerChoice,
};
use crate::{failure::Failure, globals::Format};

/// From one picture to the next, while news comes.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// The same for who presses keys.
const DRAW_FOR_KEYS_EVERY: Duration = Duration::from_millis(30);
/// Ages are shown in minutes.
const AGES_EVERY: Duration = Duration::from_secs(20);
/// News taken in at once.
const TOGETHER: usize = 4_096;

/// Shows nodes and tenants on the terminal as they are: condition, memory, processor, messages, queue, last error. `?` says the
/// keys.
#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    choice: WorkerChoice,
}

impl Top {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        if !is_terminal || !matches!(context.globals.output, Format::Table | Format::Wide) {
            let why = "roost top draws on a terminal, and neither input nor output may be anything else; for a list: \
                       `roost worker list -o wide`, for each change: `roost worker watch -o json`";
            return Err(Failure::Refused(why.to_owned()));
        }
        let admin = context.admin()?;
        let chosen = chosen(&self.choice);
        // Before the screen is taken: what is wrong with the address, the token or the selector is said as by any other command.
        let mut feed = Feed::begin(&admin, self.choice.watched()).await?;
        let mut pages = Pages::new(&admin);
        // Before the screen is taken too: it is given back whatever signal comes.
        let mut signals = Signals::listen(&signals::ENDING)?;
        let mut screen = Screen::open()?;
        let mut view = View::new(admin.address(), chosen);
        // As no-color.org has it.
        let paint = Paint { colours: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
        show(&mut view, &mut feed, &mut pages, &mut screen, &mut signals, paint).await
    }
}

/// By what the coordinator chooses, for the header.
fn chosen(choice: &WorkerChoice) -> String {
    let mut terms = Vec::new();
    terms.extend(choice.node.as_ref().map(|node| format!("--node {node}")));
    terms.extend(choice.status.map(|status| format!("--status {status:?}").to_lowercase()));
    let selector = &choice.selection.selector;
    terms.extend(Some(format!("-l {selector}")).filter(|_| !selector.is_empty()));
    terms.join(" ")
}

/// Until the user quits or a signal comes.
async fn show(
    view: &mut View,
    feed: &mut Feed,
    pages: &mut Pages,
    screen: &mut Screen,
    signals: &mut Signals,
    paint: Paint,
) -> Result<(), Failure> {
    let mut news = Vec::new();
    let mut drawn_at = Instant::now();
    let mut due = Some(drawn_at);
    let mut ages = tokio::time::interval(AGES_EVERY);
    loop {
        let soon = |every| Some(due.unwrap_or(drawn_at + every).min(drawn_at + every));
        tokio::select! {
            () = sleep_until(due.unwrap_or(drawn_at)), if due.is_some() => {
                screen.draw(|frame| draw::draw(frame, view, paint))?;
                (drawn_at, due) = (Instant::now(), None);
            }
            key = screen.key() => {
                match view.press(key) {
                    Some(Ask::Quit) => return Ok(()),
                    Some(Ask::Describe(tenant)) => pages.describe(tenant),
                    Some(Ask::Log(tenant)) => pages.follow_log(tenant),
                    Some(Ask::Leave) => pages.leave(),
                    None => {}
                }
                due = soon(DRAW_FOR_KEYS_EVERY);
            }
            taken = feed.next(&mut news, TOGETHER) => {
                taken?;
                let outcome = view.take(news.drain(..), time::OffsetDateTime::now_utc());
                if outcome.has_moved {
                    feed.nodes_may_have_changed();
                }
                if let Some(tenant) = outcome.describe_anew {
                    pages.describe_soon(tenant);
                }
                due = soon(DRAW_EVERY);
            }
            page = pages.next() => {
                view.take_page(page);
                due = soon(DRAW_EVERY);
            }
            _ = ages.tick() => due = soon(DRAW_EVERY),
            () = view.ages_by_the_second() => due = soon(DRAW_EVERY),
            () = signals.received() => return Ok(()),
        }
    }
}
