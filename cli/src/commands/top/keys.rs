//! What keys mean.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    /// Back from a page, or the filter away.
    Back,
    Quit,
    /// At once, whatever is shown.
    QuitNow,
    Open,
    Log,
    NextSort,
    PreviousSort,
    Reverse,
    Filter,
    OtherPane,
    Help,
    Refresh,
    Other,
}

/// While nothing is typed.
pub fn meaning(key: KeyEvent) -> Key {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            // The raw terminal turns Ctrl-C into a key.
            KeyCode::Char('c') => Key::QuitNow,
            KeyCode::Char('f') => Key::PageDown,
            KeyCode::Char('b') => Key::PageUp,
            _ => Key::Other,
        };
    }
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::First,
        KeyCode::End | KeyCode::Char('G') => Key::Last,
        KeyCode::Esc => Key::Back,
        KeyCode::Char('q') => Key::Quit,
        KeyCode::Enter => Key::Open,
        KeyCode::Char('l') => Key::Log,
        KeyCode::Char('s' | '>') => Key::NextSort,
        KeyCode::Char('<') => Key::PreviousSort,
        KeyCode::Char('R') => Key::Reverse,
        KeyCode::Char('/') => Key::Filter,
        KeyCode::Tab | KeyCode::BackTab => Key::OtherPane,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Key::Help,
        KeyCode::Char('r') => Key::Refresh,
        _ => Key::Other,
    }
}

/// For who looks for them.
pub const HELP: &[(&str, &str)] = &[
    ("↑ ↓ j k", "the row above, below; Page Up, Page Down, g and G for more"),
    ("Enter", "all that is known of the tenant; of a node: its tenants alone"),
    ("l", "the tenant's log, and each line that comes"),
    ("r", "on a tenant's page: ask its node anew"),
    ("s  >  <", "sort by the next column, the one before; R turns it round"),
    ("/", "only rows with this text: tenant, node, condition, error"),
    ("Tab", "from tenants to nodes and back"),
    ("Esc", "back; in the list: filter away"),
    ("q", "back; in the list: quit. Ctrl-C quits at once"),
];
