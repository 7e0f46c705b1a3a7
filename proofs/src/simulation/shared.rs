//! What all parts of a seed's cluster have in common.

use std::sync::Arc;

use roost_cluster::{registry::MemoryRegistry, timing::Timing};
use tokio::sync::watch;

use super::{dice::Dice, guards::Guards, judge::Judge, link::Weather, postgres::Postgres};

pub struct Shared {
    pub dice: Dice,
    pub timing: Timing,
    pub guards: Guards,
    pub judge: Arc<Judge>,
    pub registry: Arc<MemoryRegistry>,
    pub postgres: Arc<Postgres>,
    pub weather: watch::Sender<Weather>,
}
