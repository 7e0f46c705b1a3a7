//! Why somebody looks at what a tenant and its customers say.

use clap::Args;

#[derive(Debug, Args)]
pub struct Look {
    /// Why you look, up to 200 characters. Whoever runs the cluster has to say it; the tenant can read it.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
}
