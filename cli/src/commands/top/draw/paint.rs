//! How things are marked on the screen.

use ratatui::style::{Color, Modifier, Style};

use super::super::line::Alarm;

/// How things are marked: by colours, unless there are to be none.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    pub colours: bool,
}

impl Paint {
    pub fn alarm(self, alarm: Alarm) -> Style {
        let plain = Style::new();
        match (alarm, self.colours) {
            (Alarm::Bad, true) => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Alarm::Bad, false) => plain.add_modifier(Modifier::BOLD),
            (Alarm::Waits, true) => plain.fg(Color::Yellow),
            (Alarm::Passing, true) => plain.fg(Color::Cyan),
            (Alarm::Good, true) => plain.fg(Color::Green),
            (Alarm::Quiet, true) => plain.fg(Color::DarkGray),
            (_, false) => plain,
        }
    }

    pub fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
