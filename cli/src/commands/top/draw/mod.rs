//! The picture on the terminal. Only the rows that are visible are put into words.
//!
//! ```text
//!  ADDRESS  nodes; tenants by how they are                     header
//!  sort, filter; or why what is shown is old                   notice
//!  NODE  STATE  ...                                            nodes
//!  TENANT  CONDITION  ...                                      tenants
//!  all that is in the way of the selected one                  detail
//!  keys
//! ```

mod page;
mod paint;
mod tables;

pub use paint::Paint;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use super::{
    line::Alarm,
    view::{Pane, View},
};
use crate::text::visible;

const KEYS: &str = "↑↓ move  Enter open  l log  s sort  / filter  Tab nodes  ? help  q quit";
/// Nodes that are shown where the screen is low.
const FEW_NODES: usize = 4;
const DETAIL_ROWS: u16 = 2;

/// Draws what there is, and notes how many rows fit.
pub fn draw(frame: &mut Frame<'_>, view: &mut View, paint: Paint) {
    view.renew();
    let [header, notice, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(fill(&summary(view), header)).style(paint.bar()), header);
    frame.render_widget(Paragraph::new(state(view, paint)), notice);
    match view.page.is_some() {
        true => page::draw(frame, view, paint, body, keys),
        false => {
            list(frame, view, paint, body);
            frame.render_widget(Paragraph::new(prompt(view)), keys);
        }
    }
}

fn list(frame: &mut Frame<'_>, view: &mut View, paint: Paint, area: Rect) {
    let most = usize::from(area.height) / 4;
    let nodes = view.picture.nodes.len().min(most.max(FEW_NODES)).max(1);
    let [nodes, _, tenants, detail] = Layout::vertical([
        Constraint::Length(u16::try_from(nodes).unwrap_or(u16::MAX).saturating_add(1)),
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(DETAIL_ROWS),
    ])
    .areas(area);
    tables::nodes(frame, view, paint, nodes);
    tables::tenants(frame, view, paint, tenants);
    frame.render_widget(Paragraph::new(detail_of(view)).wrap(Wrap { trim: true }), detail);
}

/// The address, and how many are how.
fn summary(view: &View) -> String {
    let words = ["BAD", "waiting", "on their way", "connected", "stopped"];
    let parts = view.picture.by_alarm.iter().zip(words).filter(|(count, _)| **count > 0);
    let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    let bad_nodes = view.picture.nodes.iter().filter(|node| node.alarm == Alarm::Bad).count();
    let bad = if bad_nodes > 0 { format!(", {bad_nodes} BAD") } else { String::new() };
    let of_all = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let (nodes, tenants) = (view.picture.nodes.len(), view.picture.lines.len());
    format!(" {}  {}{bad}; {}{of_all}", view.address, counted(nodes, "node"), counted(tenants, "tenant"))
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// By what the list is sorted and narrowed; before that, whether it is true.
fn state(view: &View, paint: Paint) -> Line<'static> {
    if let Some((what, since, why)) = view.picture.lost() {
        let seconds = (view.now - since).whole_seconds().max(0);
        let text = format!(
            " NO ANSWER for {seconds}s: {what} below are as they were then; asking again. {}",
            visible(why)
        );
        return Line::styled(text, paint.alarm(Alarm::Bad).add_modifier(Modifier::REVERSED));
    }
    if view.is_opening() {
        return Line::from(" asking for the tenants …");
    }
    let order = &view.order;
    let mut text =
        format!(" sorted by {}{}", order.sort.word(), if order.reversed { ", reversed" } else { "" });
    if order.is_narrowed() {
        text.push_str(&format!("  {} of them shown:", order.shown.len()));
    }
    if let Some(node) = &order.node {
        text.push_str(&format!(" on {node}"));
    }
    if !order.filter.is_empty() {
        text.push_str(&format!(" with \"{}\"", order.filter));
    }
    if !view.chosen.is_empty() {
        text.push_str(&format!("  asked for: {}", view.chosen));
    }
    Line::from(text)
}

fn prompt(view: &View) -> Line<'static> {
    match (&view.typing, view.pane) {
        (Some(_), _) => Line::from(vec![
            Span::raw(format!(" / {}", visible(&view.order.filter))),
            Span::styled(" ", Style::new().add_modifier(Modifier::REVERSED)),
            Span::raw("  Enter keeps it, Esc takes it back"),
        ]),
        (None, Pane::Nodes) => Line::from(" ↑↓ move  Enter its tenants alone  Tab tenants  ? help  q quit"),
        (None, Pane::Tenants) if view.order.is_narrowed() => Line::from(format!(" Esc all tenants  {KEYS}")),
        (None, Pane::Tenants) => Line::from(format!(" {KEYS}")),
    }
}

/// In full, for the table has room for its beginning only.
fn detail_of(view: &View) -> String {
    if view.pane == Pane::Nodes {
        let node = view.picture.nodes.get(view.nodes.at);
        return node
            .map(|node| format!(" {}: {}. {}", node.id, node.state, visible(&node.trouble)))
            .unwrap_or_default();
    }
    let Some(line) = view.selected() else { return String::new() };
    let mut parts = vec![line.condition(view.now)];
    let says_more = |kind: &&str| !kind.is_empty() && *kind != line.standing.word();
    let kind = Some(line.kind).filter(says_more).map(|kind| format!("({kind})"));
    parts.extend(kind);
    let mut text = format!(" {}: {}", line.tenant, parts.join(" "));
    for more in [&line.reason, &line.last_error].into_iter().filter(|more| !more.is_empty()) {
        if !text.ends_with(more.as_str()) {
            text.push_str(&format!("; {}", visible(more)));
        }
    }
    text
}

/// To the end of the line, so that the whole of it is marked.
fn fill(text: &str, area: Rect) -> String {
    format!("{text:<width$}", width = usize::from(area.width))
}
