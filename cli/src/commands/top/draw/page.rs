//! A page over the list: a tenant, its log, or the keys.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::{
        keys::HELP,
        view::{OpenPage, View},
    },
    paint::Paint,
};
use crate::text::beginning;

const NAME_CHARS: usize = 18;

pub fn draw(frame: &mut Frame<'_>, view: &mut View, paint: Paint, area: Rect, keys: Rect) {
    let fits_now = usize::from(area.height.saturating_sub(1));
    let (title, lines, hint) = match &mut view.page {
        Some(OpenPage::Description { tenant, told, top, rows, fits }) => {
            *fits = fits_now;
            let all = match told {
                None => vec![Line::from(" asking …")],
                Some(Err(why)) => vec![Line::from(format!(" {}", beginning(why, 2_000)))],
                Some(Ok(told)) => {
                    told.iter().flat_map(|(name, value)| field(name, value, area.width)).collect()
                }
            };
            *rows = all.len();
            *top = (*top).min(all.len().saturating_sub(fits_now));
            (
                format!(" tenant {tenant}"),
                all.into_iter().skip(*top).collect(),
                " Esc back  ↑↓ scroll  l log  r ask anew",
            )
        }
        Some(OpenPage::Log { tenant, lines, top, fits }) => {
            *fits = fits_now;
            let end = lines.len().saturating_sub(fits_now);
            let from = top.unwrap_or(end).min(end);
            let seen: Vec<Line<'_>> =
                lines.iter().skip(from).take(fits_now).flat_map(|line| wrapped(line, area.width)).collect();
            // What comes last is seen to its end.
            let above = if top.is_some() { 0 } else { seen.len().saturating_sub(fits_now) };
            let seen = seen.into_iter().skip(above);
            let where_it_is = if top.is_some() { "End for what comes" } else { "as it comes" };
            let title = format!(" log of {tenant}, {where_it_is}");
            (title, seen.collect(), " Esc back  ↑↓ Page Up scroll  End follow  Enter tenant")
        }
        Some(OpenPage::Help) => {
            let lines = HELP.iter().map(|(keys, what)| Line::from(format!("  {keys:<10} {what}")));
            (" keys".to_owned(), lines.collect(), " Esc back")
        }
        None => return,
    };
    let mut all: Vec<Line<'_>> = vec![Line::styled(title, paint.heading())];
    let lines: Vec<Line<'_>> = lines;
    all.extend(lines.into_iter().take(fits_now));
    frame.render_widget(Paragraph::new(all), area);
    frame.render_widget(Paragraph::new(hint), keys);
}

/// On as many lines as it takes.
fn wrapped(line: &str, width: u16) -> Vec<Line<'static>> {
    let room = usize::from(width).saturating_sub(2).max(20);
    let chars: Vec<char> = line.chars().collect();
    let part = |(index, part): (usize, &[char])| {
        let margin = if index == 0 { " " } else { "  " };
        Line::from(format!("{margin}{}", part.iter().collect::<String>()))
    };
    chars.chunks(room).enumerate().map(part).collect()
}

/// A name with its value, on as many lines as that takes.
fn field(name: &str, value: &str, width: u16) -> Vec<Line<'static>> {
    let room = usize::from(width).saturating_sub(NAME_CHARS + 2).max(20);
    let chars: Vec<char> = if value.is_empty() { vec!['-'] } else { value.chars().collect() };
    let parts = chars.chunks(room).map(|part| part.iter().collect::<String>());
    let named = |(index, part): (usize, String)| {
        let name = if index == 0 { format!("{name}:") } else { String::new() };
        Line::from(vec![Span::raw(format!(" {name:<NAME_CHARS$} ")), Span::raw(part)])
    };
    parts.enumerate().map(named).collect()
}
