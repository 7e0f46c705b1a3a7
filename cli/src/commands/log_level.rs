//! `roost worker log-level`

use std::time::Duration;

use clap::Args;
use roost_proto::v1::{LogLevel, SetWorkerLogLevelRequest};

use super::{Context, attribution::Attribution};
use crate::{choices::LogLevelChoice, failure::Failure, views::LogLevelView};

#[derive(Debug, Args)]
pub struct LogLevelOrder {
    tenant: String,
    /// What is written from now on: lines of this level and above.
    #[arg(value_enum, required_unless_present = "reset")]
    level: Option<LogLevelChoice>,
    /// How long it holds, up to 24h; then it ends by itself [default: 10m].
    #[arg(long = "for", value_parser = humantime::parse_duration, value_name = "TIME")]
    span: Option<Duration>,
    /// Ends what holds: the tenant's own level again.
    #[arg(long, conflicts_with_all = ["level", "span"])]
    reset: bool,
    #[command(flatten)]
    attribution: Attribution,
}

impl LogLevelOrder {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let (requested_by, reason) = self.attribution.into_parts();
        let request = SetWorkerLogLevelRequest {
            tenant_id: self.tenant.clone(),
            level: self.level.map_or(LogLevel::Unspecified, LogLevel::from).into(),
            duration: self.span.and_then(|span| span.try_into().ok()),
            requested_by,
            reason,
        };
        let told = context.admin()?.inspection().set_worker_log_level(request).await?.into_inner();
        context.output.one(&LogLevelView::of(self.tenant, &told))
    }
}
