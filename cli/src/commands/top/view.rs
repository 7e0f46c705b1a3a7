//! What the user sees and does: the list or a page, what is selected, what is typed. No I/O.

use std::collections::VecDeque;

use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use time::OffsetDateTime;

use super::{
    keys::{self, Key},
    order::Order,
    pages::Page,
    picture::{Link, Name, News, Picture},
    screen::Pressed,
};

/// Lines of a log that are kept.
const LOG_LINES: usize = 5_000;
/// Of what is typed to find some.
const LONGEST_FILTER: usize = 60;

#[derive(Debug)]
pub struct View {
    pub address: String,
    /// Which the coordinator was asked for, in words; empty for all.
    pub chosen: String,
    pub picture: Picture,
    pub order: Order,
    pub pane: Pane,
    pub tenants: Cursor,
    pub nodes: Cursor,
    /// The tenant that is selected stays so wherever it is sorted to.
    selected: Option<Name>,
    /// What the filter was, while another is typed.
    pub typing: Option<String>,
    pub page: Option<OpenPage>,
    /// For ages.
    pub now: OffsetDateTime,
    is_stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Tenants,
    Nodes,
}

/// Where in a list: the row, and the first that is shown. How many fit is known when it is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    pub at: usize,
    pub top: usize,
    pub fits: usize,
}

#[derive(Debug)]
pub enum OpenPage {
    /// `rows`: what is told takes so many lines, which is known when it is drawn.
    Description {
        tenant: String,
        told: Option<Result<Vec<(String, String)>, String>>,
        top: usize,
        rows: usize,
        fits: usize,
    },
    /// `top`: none while it shows the end.
    Log {
        tenant: String,
        lines: VecDeque<String>,
        top: Option<usize>,
        fits: usize,
    },
    Help,
}

/// What is to be done outside.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    Quit,
    Describe(String),
    Log(String),
    /// What was asked for a page is wanted no more.
    Leave,
}

/// What follows from news.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// A worker is on another node than before.
    pub has_moved: bool,
    /// The tenant whose page is open has changed.
    pub describe_anew: Option<String>,
}

impl Cursor {
    /// Keeps it within `rows`, and its row in sight.
    pub fn fit(&mut self, rows: usize, fits: usize) {
        self.fits = fits;
        self.at = self.at.min(rows.saturating_sub(1));
        self.top =
            self.top.min(self.at).max((self.at + 1).saturating_sub(fits)).min(rows.saturating_sub(fits));
    }

    fn step(&mut self, key: Key, rows: usize) {
        let last = rows.saturating_sub(1);
        self.at = match key {
            Key::Up => self.at.saturating_sub(1),
            Key::Down => (self.at + 1).min(last),
            Key::PageUp => self.at.saturating_sub(self.fits.max(1)),
            Key::PageDown => (self.at + self.fits.max(1)).min(last),
            Key::First => 0,
            Key::Last => last,
            _ => self.at,
        };
    }
}

impl View {
    pub fn new(address: &str, chosen: String) -> Self {
        Self {
            address: address.to_owned(),
            chosen,
            picture: Picture::default(),
            order: Order::default(),
            pane: Pane::Tenants,
            tenants: Cursor::default(),
            nodes: Cursor::default(),
            selected: None,
            typing: None,
            page: None,
            now: OffsetDateTime::now_utc(),
            is_stale: false,
        }
    }

    pub fn take(&mut self, news: impl Iterator<Item = News>, now: OffsetDateTime) -> Outcome {
        let mut outcome = Outcome::default();
        for news in news {
            if let (News::Worker { worker, .. }, Some(OpenPage::Description { tenant, .. })) =
                (&news, &self.page)
                && worker.tenant_id == *tenant
            {
                outcome.describe_anew = Some(tenant.clone());
            }
            outcome.has_moved |= self.picture.take(news, now);
        }
        self.is_stale = true;
        outcome
    }

    pub fn take_page(&mut self, page: Page) {
        match (page, &mut self.page) {
            (
                Page::Described { tenant, told: new },
                Some(OpenPage::Description { tenant: open, told, .. }),
            ) if tenant == *open => {
                *told = Some(new);
            }
            (Page::Log { tenant, lines: new }, Some(OpenPage::Log { tenant: open, lines, top, .. }))
                if tenant == *open =>
            {
                lines.extend(new);
                let surplus = lines.len().saturating_sub(LOG_LINES);
                lines.drain(..surplus);
                *top = top.map(|top| top.saturating_sub(surplus));
            }
            // Of a page that was left.
            _ => {}
        }
    }

    /// Sorts and adds up, if there was news: called before each drawing and not for each piece of news.
    pub fn renew(&mut self) {
        self.now = OffsetDateTime::now_utc();
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        self.picture.sum_up();
        self.order.renew(&mut self.picture);
        let found =
            self.selected.as_ref().and_then(|name| self.order.shown.iter().position(|shown| shown == name));
        // One that has gone leaves the next one in its place.
        self.tenants.at = found.unwrap_or(self.tenants.at).min(self.order.shown.len().saturating_sub(1));
        self.select();
    }

    /// Never returns unless what is shown is from before, the age of which counts in seconds.
    pub async fn ages_by_the_second(&self) {
        match self.picture.lost() {
            Some(_) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
            None => std::future::pending().await,
        }
    }

    pub fn is_opening(&self) -> bool {
        self.picture.workers_link == Link::Opening
    }

    pub fn selected(&self) -> Option<&super::line::Line> {
        let name = self.order.shown.get(self.tenants.at)?;
        self.picture.lines.get(name).map(|entry| &entry.line)
    }

    fn select(&mut self) {
        // At the top nothing is held on to: who looks there looks at what needs a person first.
        let is_held = self.tenants.at > 0;
        self.selected = self.order.shown.get(self.tenants.at).filter(|_| is_held).cloned();
    }

    pub fn press(&mut self, pressed: Pressed) -> Option<Ask> {
        let Pressed::Key(key) = pressed else { return None };
        if self.typing.is_some()
            && !(key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c'))
        {
            self.edit(key.code);
            return None;
        }
        let key = keys::meaning(key);
        if key == Key::QuitNow {
            return Some(Ask::Quit);
        }
        if self.page.is_some() { self.press_on_page(key) } else { self.press_on_list(key) }
    }

    fn edit(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = None,
            KeyCode::Esc => self.order.filter = self.typing.take().unwrap_or_default(),
            KeyCode::Backspace => drop(self.order.filter.pop()),
            KeyCode::Char(c) if self.order.filter.chars().count() < LONGEST_FILTER => {
                self.order.filter.push(c)
            }
            _ => {}
        }
        self.is_stale = true;
    }

    fn press_on_page(&mut self, key: Key) -> Option<Ask> {
        match (key, &mut self.page) {
            (Key::Quit | Key::Back, Some(OpenPage::Help)) => self.page = None,
            (Key::Quit | Key::Back, _) => {
                self.page = None;
                return Some(Ask::Leave);
            }
            (Key::Log, Some(OpenPage::Description { tenant, .. })) => {
                let tenant = tenant.clone();
                return Some(self.open_log(tenant));
            }
            (Key::Open, Some(OpenPage::Log { tenant, .. })) => {
                let tenant = tenant.clone();
                return Some(self.open_description(tenant));
            }
            (Key::Refresh, Some(OpenPage::Description { tenant, .. })) => {
                return Some(Ask::Describe(tenant.clone()));
            }
            (key, Some(OpenPage::Description { top, rows, fits, .. })) => {
                *top = scrolled(*top, key, *rows, *fits);
            }
            (key, Some(OpenPage::Log { lines, top, fits, .. })) => {
                let end = lines.len().saturating_sub(*fits);
                let moved = scrolled(top.unwrap_or(end), key, lines.len(), *fits);
                *top = Some(moved).filter(|moved| *moved < end);
            }
            (_, Some(OpenPage::Help) | None) => {}
        }
        None
    }

    fn press_on_list(&mut self, key: Key) -> Option<Ask> {
        match key {
            Key::Quit => return Some(Ask::Quit),
            Key::Back => {
                (self.order.filter, self.order.node) = (String::new(), None);
                self.pane = Pane::Tenants;
                self.is_stale = true;
            }
            Key::NextSort | Key::PreviousSort => {
                self.order.sort = self.order.sort.step(key == Key::NextSort);
                (self.order.reversed, self.is_stale) = (false, true);
            }
            Key::Reverse => {
                self.order.reversed = !self.order.reversed;
                self.is_stale = true;
            }
            Key::Filter => {
                self.pane = Pane::Tenants;
                self.typing = Some(self.order.filter.clone());
            }
            Key::OtherPane => {
                self.pane = if self.pane == Pane::Tenants { Pane::Nodes } else { Pane::Tenants };
            }
            Key::Help => self.page = Some(OpenPage::Help),
            Key::Open if self.pane == Pane::Nodes => self.only_node(),
            Key::Open | Key::Log => {
                let tenant = self.selected()?.tenant.clone();
                let is_log = key == Key::Log;
                return Some(if is_log { self.open_log(tenant) } else { self.open_description(tenant) });
            }
            key if self.pane == Pane::Nodes => self.nodes.step(key, self.picture.nodes.len()),
            key => {
                self.tenants.step(key, self.order.shown.len());
                self.select();
            }
        }
        None
    }

    fn only_node(&mut self) {
        let Some(node) = self.picture.nodes.get(self.nodes.at) else { return };
        self.order.node = Some(node.id.clone());
        (self.pane, self.is_stale) = (Pane::Tenants, true);
        (self.tenants, self.selected) = (Cursor::default(), None);
    }

    fn open_log(&mut self, tenant: String) -> Ask {
        let (lines, top, fits) = (VecDeque::new(), None, 0);
        self.page = Some(OpenPage::Log { tenant: tenant.clone(), lines, top, fits });
        Ask::Log(tenant)
    }

    fn open_description(&mut self, tenant: String) -> Ask {
        self.page =
            Some(OpenPage::Description { tenant: tenant.clone(), told: None, top: 0, rows: 0, fits: 0 });
        Ask::Describe(tenant)
    }
}

fn scrolled(top: usize, key: Key, rows: usize, fits: usize) -> usize {
    let end = rows.saturating_sub(fits);
    let moved = match key {
        Key::Up => top.saturating_sub(1),
        Key::Down => top + 1,
        Key::PageUp => top.saturating_sub(fits.max(1)),
        Key::PageDown => top + fits.max(1),
        Key::First => 0,
        Key::Last => end,
        _ => top,
    };
    moved.min(end)
}
