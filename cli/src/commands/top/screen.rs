//! The terminal: taken when it is opened, given back when it is dropped and when the program panics.

use std::thread;

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyEvent, KeyEventKind},
};
use tokio::sync::mpsc;

use crate::failure::Failure;

pub struct Screen {
    terminal: DefaultTerminal,
    events: mpsc::Receiver<Pressed>,
}

/// What comes from the terminal.
#[derive(Debug, Clone, Copy)]
pub enum Pressed {
    Key(KeyEvent),
    /// It has another size.
    Resized,
}

impl Screen {
    pub fn open() -> Result<Self, Failure> {
        let terminal = ratatui::try_init().map_err(Failure::Print)?;
        let (sender, events) = mpsc::channel(64);
        thread::spawn(move || read(&sender));
        Ok(Self { terminal, events })
    }

    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.terminal.draw(render).map(drop).map_err(Failure::Print)
    }

    /// Cancel safe.
    pub async fn key(&mut self) -> Pressed {
        match self.events.recv().await {
            Some(pressed) => pressed,
            // The terminal cannot be read any more: signals still stop the command.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// A thread of its own, for reading a terminal blocks; it ends with the program.
fn read(sender: &mpsc::Sender<Pressed>) {
    loop {
        let pressed = match event::read() {
            Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => Pressed::Key(key),
            Ok(Event::Resize(..)) => Pressed::Resized,
            Ok(_) => continue,
            Err(_) => return,
        };
        if sender.blocking_send(pressed).is_err() {
            return;
        }
    }
}
