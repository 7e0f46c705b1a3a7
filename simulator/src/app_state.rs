//! What every request to the server is given.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::Timing;
use crate::world::World;

#[derive(Debug, Clone)]
pub struct AppState {
    pub world: Arc<Mutex<World>>,
    pub timing: Timing,
}
