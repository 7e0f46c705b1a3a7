//! The two lists.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::{Modifier, Style},
    widgets::{Cell, Row, Table},
};
use time::OffsetDateTime;

use super::{
    super::{
        line::{Figures, Line},
        nodes::{NodeLine, Sums},
        view::{Pane, View},
    },
    paint::Paint,
};
use crate::text::beginning;

/// From so many columns on there is room for names that are long, and for restarts.
const WIDE: u16 = 120;
/// The longest error that is put into words for a table.
const ERROR_CHARS: usize = 300;
const MIB: i64 = 1 << 20;

pub fn nodes(frame: &mut Frame<'_>, view: &mut View, paint: Paint, area: Rect) {
    let is_wide = area.width >= WIDE;
    let fits = usize::from(area.height.saturating_sub(1));
    view.nodes.fit(view.picture.nodes.len(), fits);
    let (top, at) = (view.nodes.top, view.nodes.at);
    let hidden = view.picture.nodes.len().saturating_sub(fits);
    let rows = view.picture.nodes.iter().enumerate().skip(top).take(fits).map(|(index, node)| {
        let row = Row::new(node_cells(node, paint));
        if view.pane == Pane::Nodes && index == at { row.style(selected()) } else { row }
    });
    let name = if hidden > 0 { format!("NODE (+{hidden})") } else { "NODE".to_owned() };
    let header = [name.as_str(), "STATE", "TENANTS", "MEMORY", "CPU", "MSG/MIN", "TROUBLE"];
    let widths = if is_wide { [20, 24, 9, 8, 7, 7] } else { [12, 18, 8, 7, 6, 7] };
    let widths = widths.map(Constraint::Length).into_iter().chain([Constraint::Fill(1)]);
    let header = Row::new(header.map(str::to_owned)).style(paint.heading());
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn node_cells(node: &NodeLine, paint: Paint) -> [Cell<'static>; 7] {
    let Sums { memory_bytes, cpu_millicores, messages_per_minute, is_measured } = node.sums;
    let measured = |text: String| Cell::from(if is_measured { text } else { "-".to_owned() });
    let taken = if node.capacity > 0 {
        format!("{}/{}", node.tenants, node.capacity)
    } else {
        node.tenants.to_string()
    };
    [
        Cell::from(node.id.clone()),
        Cell::from(node.state.clone()).style(paint.alarm(node.alarm)),
        Cell::from(taken),
        measured(memory(memory_bytes)),
        measured(cores(cpu_millicores)),
        Cell::from(messages_per_minute.to_string()),
        Cell::from(beginning(&node.trouble, ERROR_CHARS)),
    ]
}

pub fn tenants(frame: &mut Frame<'_>, view: &mut View, paint: Paint, area: Rect) {
    let is_wide = area.width >= WIDE;
    let fits = usize::from(area.height.saturating_sub(1));
    view.tenants.fit(view.order.shown.len(), fits);
    let (top, at) = (view.tenants.top, view.tenants.at);
    let visible_names = view.order.shown.iter().enumerate().skip(top).take(fits);
    let rows = visible_names.filter_map(|(index, name)| {
        let line = &view.picture.lines.get(name)?.line;
        let row = Row::new(tenant_cells(line, is_wide, paint, view.now));
        Some(if view.pane == Pane::Tenants && index == at { row.style(selected()) } else { row })
    });
    let mut header = vec!["TENANT", "CONDITION", "NODE", "MEM", "CPU", "MSG/M", "QUEUE"];
    let mut widths = vec![14, 16, 8, 5, 4, 5, 5];
    if is_wide {
        header.push("RESTARTS");
        widths = vec![24, 18, 16, 7, 6, 6, 6, 8];
    }
    header.push("LAST ERROR");
    let widths = widths.into_iter().map(Constraint::Length).chain([Constraint::Fill(1)]);
    let header = Row::new(header).style(paint.heading());
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn tenant_cells(line: &Line, is_wide: bool, paint: Paint, now: OffsetDateTime) -> Vec<Cell<'static>> {
    let Figures { memory_bytes, cpu_millicores, messages_per_minute, .. } = line.figures;
    let or_none = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
    let mut cells = vec![
        Cell::from(line.tenant.clone()),
        Cell::from(line.condition(now)).style(paint.alarm(line.standing.alarm())),
        or_none(Some(line.node.clone()).filter(|node| !node.is_empty())),
        or_none(memory_bytes.map(memory)),
        or_none(cpu_millicores.map(|cpu| cores(cpu.into()))),
        or_none(messages_per_minute.map(|messages| messages.to_string())),
        Cell::from(line.figures.queue().to_string()),
    ];
    if is_wide {
        cells.push(Cell::from(line.restarts.to_string()));
    }
    cells.push(Cell::from(beginning(line.trouble(), ERROR_CHARS)));
    cells
}

/// Also without colours.
fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// Four signs at most, up to 9999 GiB.
fn memory(bytes: i64) -> String {
    let mib = bytes.saturating_add(MIB / 2) / MIB;
    if mib < 1_000 { format!("{mib}M") } else { format!("{:.1}G", mib as f64 / 1_024.0) }
}

fn cores(millicores: i64) -> String {
    let cores = millicores as f64 / 1_000.0;
    if cores < 10.0 { format!("{cores:.2}") } else { format!("{cores:.0}") }
}
