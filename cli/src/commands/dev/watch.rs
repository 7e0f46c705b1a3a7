//! The loop of `roost dev`: events to the board, the board to the terminal.

use std::time::Duration;

use roost_devcluster::{Cluster, DevError, DevRecord};

use super::{
    board::{Board, Event, Part},
    feed::Feed,
    lines::Lines,
    screen::{Key, Screen},
};
use crate::{failure::Failure, output::Output, qr, text::visible};

/// Who writes to the tenants when the user asks for it.
const CUSTOMER: &str = "+255600000001";
const TICK: Duration = Duration::from_millis(250);

/// Where the board is shown.
enum Show<'a> {
    Lines(Lines<'a>),
    Screen(Box<Screen>),
}

/// Shows the cluster until `stop` resolves or the user quits. Publishes dev.json when everything is ready, and again
/// when a process has died or started.
pub async fn until_asked_to_stop(
    cluster: &mut Cluster,
    output: &mut Output,
    full_screen: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let real_phones = cluster.options().page_url.is_some();
    let codes_of = if real_phones { cluster.tenants() } else { &[] };
    let mut feed = Feed::follow(cluster.admin(), codes_of);
    let mut board = Board::new(cluster.tenants());
    let mut show = if full_screen {
        Show::Screen(Box::new(Screen::open(cluster)?))
    } else {
        Show::Lines(Lines::new(output))
    };
    for left in cluster.ended_leftovers() {
        show.lines(
            &mut board,
            vec![format!("{} (pid {}) of a crashed run ended", left.name, left.identity.pid)],
        )?;
    }
    let mut published = false;
    let mut tick = tokio::time::interval(TICK);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            event = feed.next() => show.event(&mut board, event)?,
            key = show.key() => {
                if key == Key::Quit {
                    return Ok(());
                }
                if let Err(error) = obey(key, cluster).await {
                    board.remember(&visible(&error.to_string()));
                }
            }
            _ = tick.tick() => {
                let (services, nodes) = parts(cluster);
                let changes = board.set_parts(services, nodes);
                let ready = real_phones || board.all_connected();
                if (!published && ready) || (published && !changes.is_empty()) {
                    cluster.publish()?;
                    if !published {
                        let record = DevRecord::path(cluster.state_dir());
                        let portal = cluster.portal_url().map(|url| format!("the portal, as the owner of demo-1: {url}"));
                        let setup = cluster.setup_url().map(|url| format!("the portal, as who asks for a business: {url}"));
                        let console = cluster.console_url().map(|url| format!("the console, as an admin: {url}"));
                        let phone = cluster.phone_url().map(|url| format!("a phone to link, and to write with: {url}"));
                        let links = portal.into_iter().chain(setup).chain(console).chain(phone);
                        let told = links.chain([format!("ready: {}", record.display())]);
                        show.lines(&mut board, told.collect())?;
                    }
                    published = true;
                }
                show.lines_told(&mut board, changes)?;
            }
        }
    }
}

/// What fails here is shown, and the cluster goes on.
async fn obey(key: Key, cluster: &mut Cluster) -> Result<(), DevError> {
    match key {
        Key::Quit => Ok(()),
        Key::Add => cluster.add_node().await.map(drop),
        Key::Revive => cluster.revive().await.map(drop),
        Key::Write => {
            for tenant in cluster.tenants() {
                cluster.simulator()?.message(&tenant.phone, CUSTOMER, "Hello").await?;
            }
            Ok(())
        }
    }
}

fn parts(cluster: &mut Cluster) -> (Vec<Part>, Vec<Part>) {
    let services = cluster.services().into_iter().map(|(id, pid, alive)| Part { id, pid, alive }).collect();
    let nodes = cluster.nodes().iter_mut();
    let nodes = nodes.map(|node| Part {
        id: node.id().to_owned(),
        pid: node.pid().unwrap_or_default(),
        alive: node.is_running(),
    });
    (services, nodes.collect())
}

impl Show<'_> {
    fn event(&mut self, board: &mut Board, event: Event) -> Result<(), Failure> {
        if let (Show::Lines(lines), Event::Code { tenant, text }) = (&mut *self, &event) {
            let drawn = qr::draw(text).map_err(|e| Failure::Refused(format!("the code of {tenant}: {e}")))?;
            lines.print(&format!("scan with the phone of {tenant}:\n{drawn}"))?;
        }
        match (board.apply(event), self) {
            (Some(line), Show::Lines(lines)) => lines.print(&line),
            _ => Ok(()),
        }
    }

    /// Lines that the board does not know yet.
    fn lines(&mut self, board: &mut Board, told: Vec<String>) -> Result<(), Failure> {
        told.iter().for_each(|line| board.remember(line));
        self.print(told)
    }

    /// Lines that the board told; a screen is drawn anew.
    fn lines_told(&mut self, board: &mut Board, mut told: Vec<String>) -> Result<(), Failure> {
        if let Show::Screen(screen) = self {
            return screen.draw(board);
        }
        told.extend(board.new_counts());
        self.print(told)
    }

    fn print(&mut self, told: Vec<String>) -> Result<(), Failure> {
        match self {
            Show::Lines(lines) => told.iter().try_for_each(|line| lines.print(line)),
            Show::Screen(_) => Ok(()),
        }
    }

    async fn key(&mut self) -> Key {
        match self {
            Show::Lines(_) => std::future::pending().await,
            Show::Screen(screen) => screen.key().await,
        }
    }
}
