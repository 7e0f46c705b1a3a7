//! The board as a full screen, drawn anew a few times a second.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Table},
};
use roost_devcluster::{Cluster, is_connected};
use tokio::sync::mpsc;

use super::board::{Board, Part, session_status, worker_status};
use crate::{failure::Failure, text::visible};

const LOOK_FOR_KEYS_EVERY: Duration = Duration::from_millis(100);

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Quit,
    /// A customer writes to each tenant.
    Write,
    /// One node more.
    Add,
    /// Start again what is dead.
    Revive,
}

/// Dropping it gives the terminal back.
pub struct Screen {
    terminal: DefaultTerminal,
    header: String,
    keys: mpsc::Receiver<Key>,
    closed: Arc<AtomicBool>,
}

impl Screen {
    pub fn open(cluster: &Cluster) -> Result<Self, Failure> {
        let header = format!(
            " Roost  admin {}  {} {}  logs {}  |  w writes to the tenants, a adds a node, r starts again what is dead, q quits",
            cluster.admin().address(),
            if cluster.options().tls { "https" } else { "http" },
            cluster.http_addr().unwrap_or("-"),
            cluster.state_dir().join("logs").display()
        );
        let terminal = ratatui::try_init().map_err(Failure::Print)?;
        let (sender, keys) = mpsc::channel(8);
        let closed = Arc::new(AtomicBool::new(false));
        let reader = closed.clone();
        thread::spawn(move || read_keys(&reader, &sender));
        Ok(Self { terminal, header, keys, closed })
    }

    pub fn draw(&mut self, board: &Board) -> Result<(), Failure> {
        let drawn = self.terminal.draw(|frame| render(frame, &self.header, board));
        drawn.map(drop).map_err(Failure::Print)
    }

    /// Cancel safe.
    pub async fn key(&mut self) -> Key {
        match self.keys.recv().await {
            Some(key) => key,
            // The terminal cannot be read any more: signals still stop the command.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        ratatui::restore();
    }
}

/// A thread of its own: reading a terminal blocks.
fn read_keys(closed: &AtomicBool, keys: &mpsc::Sender<Key>) {
    while !closed.load(Ordering::Relaxed) {
        let pressed = match next_event() {
            Ok(Some(Event::Key(key))) if key.kind == KeyEventKind::Press => (key.code, key.modifiers),
            Ok(_) => continue,
            Err(_) => return,
        };
        let asked = match pressed {
            // The raw terminal turns Ctrl-C into a key.
            (KeyCode::Char('c'), KeyModifiers::CONTROL) | (KeyCode::Char('q') | KeyCode::Esc, _) => Key::Quit,
            (KeyCode::Char('w'), _) => Key::Write,
            (KeyCode::Char('a'), _) => Key::Add,
            (KeyCode::Char('r'), _) => Key::Revive,
            _ => continue,
        };
        if keys.blocking_send(asked).is_err() {
            return;
        }
    }
}

fn next_event() -> io::Result<Option<Event>> {
    if event::poll(LOOK_FOR_KEYS_EVERY)? { event::read().map(Some) } else { Ok(None) }
}

fn render(frame: &mut Frame<'_>, header: &str, board: &Board) {
    let [top, services, nodes, tenants, recent] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(board.nodes.len() as u16 + 3),
        Constraint::Min(board.tenants.len() as u16 + 3),
        Constraint::Length(8),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(header.to_owned()).reversed(), top);
    frame.render_widget(Paragraph::new(Line::from_iter(board.services.iter().map(service))), services);
    frame.render_widget(node_table(board), nodes);
    frame.render_widget(tenant_table(board), tenants);
    let fitting = board.recent.len().saturating_sub(usize::from(recent.height.saturating_sub(2)));
    let lines: Vec<Line<'_>> = board.recent[fitting..].iter().map(|line| Line::from(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("lately")), recent);
}

fn service(part: &Part) -> Span<'_> {
    let text = format!(" {} {}  ", if part.alive { "●" } else { "✗" }, part.id);
    Span::styled(text, health(part.alive))
}

fn node_table(board: &Board) -> Table<'_> {
    let rows = board.nodes.iter().map(|node| {
        let state = if node.alive { "up" } else { "DEAD" };
        Row::new([
            Cell::from(node.id.as_str()),
            Cell::from(node.pid.to_string()),
            Cell::from(state).style(health(node.alive)),
            Cell::from(board.tenants_on(&node.id).to_string()),
        ])
    });
    Table::new(
        rows,
        [Constraint::Length(12), Constraint::Length(10), Constraint::Length(8), Constraint::Length(8)],
    )
    .header(Row::new(["node", "pid", "state", "tenants"]).bold())
    .block(Block::bordered().title("nodes (kill -9 a pid and watch)"))
}

fn tenant_table(board: &Board) -> Table<'_> {
    let rows = board.tenants.iter().map(|line| {
        let worker = &line.worker;
        let node = if worker.node_id.is_empty() { "-" } else { &worker.node_id };
        Row::new([
            Cell::from(worker.tenant_id.as_str()),
            Cell::from(line.name()),
            Cell::from(line.phone()),
            Cell::from(node),
            Cell::from(worker_status(worker)),
            Cell::from(session_status(worker)).style(health(is_connected(worker))),
            Cell::from(worker.generation.to_string()),
            Cell::from(line.received.to_string()),
            Cell::from(line.answered.to_string()),
            Cell::from(visible(&worker.last_error)),
        ])
    });
    let widths =
        [8, 26, 14, 8, 8, 13, 11, 9, 9].map(Constraint::Length).into_iter().chain([Constraint::Fill(1)]);
    let header = [
        "tenant",
        "name",
        "phone",
        "node",
        "worker",
        "session",
        "generation",
        "received",
        "answered",
        "last error",
    ];
    Table::new(rows, widths).header(Row::new(header).bold()).block(Block::bordered().title("tenants"))
}

fn health(good: bool) -> Style {
    Style::new().fg(if good { Color::Green } else { Color::Red })
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use roost_devcluster::demo_tenant;

    #[test]
    fn the_screen_names_every_part_node_and_tenant() {
        let mut board = Board::new(&[demo_tenant(0), demo_tenant(1)]);
        let part = |id: &str, alive| Part { id: id.into(), pid: 4_711, alive };
        board.set_parts(vec![part("etcd", true)], vec![part("node-1", true), part("node-2", false)]);
        let mut terminal = Terminal::new(TestBackend::new(140, 24)).unwrap();
        terminal.draw(|frame| render(frame, " Roost", &board)).unwrap();
        let shown = terminal.backend().to_string();
        for expected in
            ["● etcd", "node-1", "DEAD", "Safari Lodge Arusha", "+255700000002", "node-2 DEAD (pid 4711)"]
        {
            assert!(shown.contains(expected), "{expected} is not in\n{shown}");
        }
    }
}
