//! What is on the screen, sign by sign, at 80 columns and at 160. The expected screens lie in `tests/golden/top/`; after an intended
//! change run with ROOST_UPDATE_GOLDEN=1 and read the difference.

use std::{env, fs, path::Path, time::Instant};

use prost_types::Timestamp;
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::{Color, Modifier},
};
use roost_proto::v1::{
    ConditionKind, DesiredState, Impairment, Node, SessionStatus, Worker, WorkerCondition, WorkerFigures,
    WorkerStatus,
};
use time::OffsetDateTime;

use super::{
    draw::{self, Paint},
    order::Sort,
    pages::Page,
    picture::News,
    screen::Pressed,
    view::{Ask, Outcome, View},
};

const PLAIN: Paint = Paint { colours: false };

/// So long ago that the ages stay.
fn ago(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: OffsetDateTime::now_utc().unix_timestamp() - seconds, nanos: 0 })
}

fn worker(tenant: &str, node: &str) -> Worker {
    Worker {
        tenant_id: tenant.into(),
        status: WorkerStatus::Running.into(),
        desired_state: DesiredState::Running.into(),
        node_id: node.into(),
        session_status: SessionStatus::Connected.into(),
        ..Worker::default()
    }
}

fn waiting(tenant: &str, node: &str, kind: ConditionKind, minutes: i64, reason: &str) -> Worker {
    let since_time = ago(minutes * 60 + 20);
    let condition = Some(WorkerCondition { kind: kind.into(), reason: reason.into(), since_time });
    Worker { condition, session_status: SessionStatus::Disconnected.into(), ..worker(tenant, node) }
}

fn told(worker: Worker) -> News {
    News::Worker { worker: Box::new(worker), is_gone: false }
}

fn figures(tenant: &str, mib: i64, cpu: i32, messages: i32, queue: i64) -> WorkerFigures {
    WorkerFigures {
        tenant_id: tenant.into(),
        memory_bytes: Some(mib << 20),
        cpu_millicores: Some(cpu),
        processes: Some(6),
        messages_per_minute: Some(messages),
        inbound_queue: queue,
        outbound_queue: 0,
    }
}

fn nodes() -> Vec<Node> {
    let live =
        |id: &str, tenants| Node { id: id.into(), live: true, capacity: 50, tenants, ..Node::default() };
    let reason = "no browser can be started: it ended by itself".into();
    let impairments = vec![Impairment { kind: "browser".into(), reason, start_time: None }];
    vec![
        live("node-1", 4),
        live("node-2", 3),
        Node { impairments, shedding: true, ..live("node-3", 1) },
        Node { id: "node-4".into(), tenants: 2, ..Node::default() },
        Node {
            cordoned: true,
            cordoned_by: "asha".into(),
            cordon_reason: "kernel upgrade".into(),
            ..live("node-5", 0)
        },
    ]
}

/// A night with a lost node.
fn news() -> Vec<News> {
    let mut failed = waiting("shop-arusha", "node-1", ConditionKind::Failed, 12, "");
    failed.status = WorkerStatus::Error.into();
    failed.last_error =
        "WhatsApp has unlinked the device; scan a QR code: roost session qr shop-arusha --watch".into();
    failed.restarts = 9;
    let mut stopped = worker("bakery", "");
    stopped.desired_state = DesiredState::Stopped.into();
    let whatsapp = waiting("lodge", "node-2", ConditionKind::WaitingForWhatsapp, 3, "it answers 503");
    let capacity = "every node is full: 50 of 50 tenants on node-1, 50 of 50 on node-2";
    vec![
        News::Begun,
        told(worker("safari", "node-1")),
        told(worker("pharmacy-with-a-long-name", "node-2")),
        told(whatsapp),
        told(failed),
        told(stopped),
        told(waiting("clinic", "", ConditionKind::WaitingForCapacity, 125, capacity)),
        told(waiting("fish", "node-2", ConditionKind::WaitingForScan, 3_000, "")),
        News::Figures(vec![
            figures("safari", 188, 45, 31, 0),
            figures("pharmacy-with-a-long-name", 1_204, 1_250, 4, 17),
            figures("lodge", 201, 3, 0, 2),
        ]),
        News::AllTold,
        News::Nodes(nodes()),
    ]
}

fn view_of(news: Vec<News>) -> View {
    let mut view = View::new("10.0.0.1:7117", String::new());
    view.take(news.into_iter(), OffsetDateTime::now_utc());
    screen(&mut view, 80, 24, PLAIN);
    view
}

fn press(view: &mut View, keys: &str) -> Option<Ask> {
    let mut asked = None;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        asked = view.press(Pressed::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        // Rows are where they were drawn last.
        screen(view, 80, 24, PLAIN);
    }
    asked
}

fn screen(view: &mut View, width: u16, height: u16, paint: Paint) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, view, paint)).unwrap();
    terminal
}

/// The screen's lines, without the blanks at their ends.
fn shown(view: &mut View, width: u16, height: u16) -> String {
    let terminal = screen(view, width, height, PLAIN);
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(|y| line(y) + "\n").collect()
}

fn golden(name: &str, told: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/top").join(format!("{name}.txt"));
    if env::var_os("ROOST_UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, told).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert!(told == expected, "{} differs; what is shown:\n{told}", path.display());
}

#[test]
fn the_list_is_drawn_as_golden() {
    golden("80x24", &shown(&mut view_of(news()), 80, 24));
    golden("160x48", &shown(&mut view_of(news()), 160, 48));
}

#[test]
fn pages_are_drawn_as_golden() {
    let mut view = view_of(news());
    assert_eq!(press(&mut view, "\n"), Some(Ask::Describe("shop-arusha".into())));
    let told = [
        ("tenant", "shop-arusha"),
        ("status", "ERROR"),
        ("last error", &"scan a QR code ".repeat(9)),
        ("phone", ""),
    ];
    let told = told.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    view.take_page(Page::Described { tenant: "lodge".into(), told: Err("of a page that was left".into()) });
    view.take_page(Page::Described { tenant: "shop-arusha".into(), told: Ok(told) });
    golden("tenant-80x24", &shown(&mut view, 80, 24));
    assert_eq!(press(&mut view, "l"), Some(Ask::Log("shop-arusha".into())));
    let lines =
        (0..40).map(|n| format!("02:00:{n:02} INFO  node-1 the worker's state changed n={n}")).collect();
    view.take_page(Page::Log { tenant: "shop-arusha".into(), lines });
    golden("log-80x24", &shown(&mut view, 80, 24));
    assert_eq!(press(&mut view, "\u{1b}"), Some(Ask::Leave));
    press(&mut view, "?");
    golden("help-80x24", &shown(&mut view, 80, 24));
    assert_eq!(press(&mut view, "q"), None, "back from a page");
    assert_eq!(press(&mut view, "q"), Some(Ask::Quit));
}

#[test]
fn a_lost_connection_is_said_with_the_age_of_what_is_shown() {
    let mut view = view_of(news());
    let then = OffsetDateTime::now_utc() - time::Duration::seconds(12);
    view.take([News::Lost("no answer from the coordinator".into())].into_iter(), then);
    view.take([News::Lost("Connection refused".into())].into_iter(), OffsetDateTime::now_utc());
    let told = shown(&mut view, 80, 24);
    assert!(told.contains("NO ANSWER for 12s: the tenants below are as they were then"), "{told}");
    assert!(told.contains("shop-arusha"), "the last picture stays:\n{told}");
    // Of the next stream only what it tells is left.
    let again = vec![News::Begun, told_again("safari"), News::AllTold];
    view.take(again.into_iter(), OffsetDateTime::now_utc());
    let told = shown(&mut view, 80, 24);
    assert!(!told.contains("NO ANSWER") && told.contains("safari") && !told.contains("lodge"), "{told}");
}

fn told_again(tenant: &str) -> News {
    told(worker(tenant, "node-1"))
}

fn tenants(view: &mut View) -> Vec<String> {
    screen(view, 80, 24, PLAIN);
    view.order.shown.iter().map(|name| name.to_string()).collect()
}

#[test]
fn those_that_need_a_person_come_first_and_every_column_sorts() {
    let mut view = view_of(news());
    let by_trouble =
        ["shop-arusha", "clinic", "lodge", "fish", "pharmacy-with-a-long-name", "safari", "bakery"];
    assert_eq!(tenants(&mut view), by_trouble);
    let first = |view: &mut View, sort: Sort| {
        while view.order.sort != sort {
            press(view, "s");
        }
        tenants(view).swap_remove(0)
    };
    assert_eq!(first(&mut view, Sort::Tenant), "bakery");
    assert_eq!(first(&mut view, Sort::Memory), "pharmacy-with-a-long-name");
    assert_eq!(first(&mut view, Sort::Messages), "safari");
    assert_eq!(first(&mut view, Sort::Queue), "pharmacy-with-a-long-name");
    assert_eq!(first(&mut view, Sort::Restarts), "shop-arusha");
    press(&mut view, "R");
    assert_eq!(tenants(&mut view).last().unwrap(), "shop-arusha");
    press(&mut view, "<");
    assert_eq!(view.order.sort, Sort::Queue);
}

#[test]
fn a_filter_is_typed_kept_and_taken_back_and_a_node_has_its_tenants_alone() {
    let mut view = view_of(news());
    press(&mut view, "/NODE-2");
    // Of one the reason names it.
    assert_eq!(tenants(&mut view), ["clinic", "lodge", "fish", "pharmacy-with-a-long-name"]);
    press(&mut view, "\n/q\u{1b}");
    assert_eq!(view.order.filter, "NODE-2", "what is typed is no command, and Esc has taken it back");
    press(&mut view, "\u{1b}");
    assert_eq!(tenants(&mut view).len(), 7);
    // The lost one is the first of the nodes.
    press(&mut view, "\tjjjj\n");
    assert_eq!(view.order.node.as_deref(), Some("node-2"));
    assert_eq!(tenants(&mut view).len(), 3);
    assert!(shown(&mut view, 80, 24).contains("3 of them shown: on node-2"));
}

#[test]
fn who_is_selected_stays_so_wherever_it_is_sorted_to() {
    let mut view = view_of(news());
    press(&mut view, "jj");
    assert_eq!(view.selected().unwrap().tenant, "lodge");
    let healed = vec![told(worker("lodge", "node-2"))];
    let outcome = view.take(healed.into_iter(), OffsetDateTime::now_utc());
    assert_eq!(outcome, Outcome::default(), "it is where it was");
    screen(&mut view, 80, 24, PLAIN);
    assert_eq!(view.selected().unwrap().tenant, "lodge");
    assert_eq!(view.selected().unwrap().figures.queue(), 2, "what waits is not forgotten");
    assert!(view.take([told(worker("lodge", "node-1"))].into_iter(), OffsetDateTime::now_utc()).has_moved);
    let gone = News::Worker { worker: Box::new(worker("lodge", "")), is_gone: true };
    view.take([gone].into_iter(), OffsetDateTime::now_utc());
    screen(&mut view, 80, 24, PLAIN);
    assert!(view.selected().is_some(), "the next one is in its place");
}

#[test]
fn colours_mark_trouble_and_are_left_out_where_there_are_to_be_none() {
    let mut view = view_of(news());
    let all = |terminal: &Terminal<TestBackend>| terminal.backend().buffer().content().to_vec();
    let with = all(&screen(&mut view, 80, 24, Paint { colours: true }));
    assert!(with.iter().any(|cell| cell.fg == Color::Red && cell.modifier.contains(Modifier::BOLD)));
    let without = all(&screen(&mut view, 80, 24, PLAIN));
    assert!(without.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(without.iter().any(|cell| cell.modifier.contains(Modifier::BOLD)));
}

#[test]
fn any_size_is_drawn() {
    let mut view = view_of(news());
    for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 90)] {
        screen(&mut view, width, height, PLAIN);
    }
}

#[test]
fn what_commands_a_terminal_is_shown_and_not_done() {
    let mut hostile = worker("asha", "node-1");
    hostile.last_error = "\u{1b}[2J\u{202e}".into();
    let mut view = view_of(vec![News::Begun, told(hostile), News::AllTold]);
    let told = shown(&mut view, 160, 48);
    assert!(told.contains("\\u{1b}[2J\\u{202e}") && !told.contains('\u{1b}'), "{told}");
}

#[test]
fn a_hundred_thousand_tenants_cost_what_is_visible() {
    let many = (0..100_000).map(|n| told(worker(&format!("tenant-{n}"), &format!("node-{}", n % 100))));
    let mut view = View::new("10.0.0.1:7117", String::new());
    let took = |what: &str, work: &mut dyn FnMut()| {
        let begun = Instant::now();
        work();
        println!("{what}: {:?}", begun.elapsed());
        begun.elapsed()
    };
    let mut all: Vec<News> = std::iter::once(News::Begun).chain(many).chain([News::AllTold]).collect();
    took("taken in", &mut || drop(view.take(all.drain(..), OffsetDateTime::now_utc())));
    took("drawn first", &mut || drop(screen(&mut view, 160, 48, PLAIN)));
    took("a thousand changes", &mut || {
        let changes = (0..1_000).map(|n| told(worker(&format!("tenant-{}", n * 97), "node-1")));
        view.take(changes, OffsetDateTime::now_utc());
    });
    took("drawn after them", &mut || drop(screen(&mut view, 160, 48, PLAIN)));
    let idle = took("drawn after a key", &mut || drop(press(&mut view, "j")));
    // Generous: 3 ms in the optimised program.
    assert!(
        idle < std::time::Duration::from_millis(500),
        "{idle:?}: more than what is visible was put into words"
    );
}
