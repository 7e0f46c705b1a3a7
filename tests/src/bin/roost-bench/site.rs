//! How heavy the simulated site is that is measured on.

use std::time::Duration;

use clap::Args;
use roost_devcluster::Options;

#[derive(Debug, Clone, Args)]
pub struct Site {
    /// Processor time that each load of a page takes before it connects, as the real bundle does.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub start_cost: Duration,
    /// As hard on pages as the scenarios have it.
    #[arg(long)]
    pub hard: bool,
    /// Browsers that each node keeps ready for nobody yet.
    #[arg(long, default_value_t = 2)]
    pub spare_browsers: u16,
}

impl Site {
    pub fn apply(&self, options: &mut Options) {
        (options.start_cost, options.hard) = (self.start_cost, self.hard);
        options.spare_browsers = Some(self.spare_browsers);
    }
}
