//! What is told of one worker.

use std::time::Duration;

use roost_model::ids::NodeId;
use roost_proto::v1;
use roost_store::{ConditionChange, ListedSnapshot};
use time::OffsetDateTime;

use super::{condition_kind, count, tenant_log_level, timestamp, worker};
use crate::{
    app::{LiveWorker, WorkerDescription},
    node_rpc::{BrowserVitals, SettingVitals, WorkerVitals},
};

pub fn worker_description(row: WorkerDescription) -> v1::WorkerDescription {
    let (live, node_problem) = match row.live {
        None => (None, "it is on no node".to_owned()),
        Some(Err(problem)) => (None, problem.to_string()),
        Some(Ok(LiveWorker { node, vitals })) => (Some(live_worker(node, vitals)), String::new()),
    };
    let size = |snapshot: &ListedSnapshot| long(snapshot.bytes.unwrap_or_default());
    let log_level = tenant_log_level(&row.tenant, OffsetDateTime::now_utc());
    v1::WorkerDescription {
        worker: Some(worker(row.worker)),
        phone: row.tenant.settings.phone.clone(),
        labels: row.tenant.labels.into_iter().collect(),
        inbound_queue: long(row.queues.inbound),
        outbound_queue: long(row.queues.outbound),
        snapshot_bytes: row.newest_snapshot.as_ref().map_or(0, size),
        snapshot_time: row.newest_snapshot.map(|snapshot| timestamp(snapshot.taken_at)),
        live,
        node_problem,
        log_level,
    }
}

pub fn condition_change(row: ConditionChange) -> v1::ConditionChange {
    v1::ConditionChange {
        time: Some(timestamp(row.at)),
        kind: condition_kind(row.kind).into(),
        reason: row.reason,
        node_id: row.node.map(String::from).unwrap_or_default(),
    }
}

fn live_worker(node: NodeId, told: WorkerVitals) -> v1::LiveWorker {
    v1::LiveWorker {
        node_id: node.into(),
        node_version: told.node_version,
        generation: told.generation.0,
        state: told.state,
        since_proof: told.since_proof.and_then(duration),
        reconnect_attempts: count(told.reconnect_attempts),
        browser: told.browser.map(live_browser),
        timing: told.timing.into_iter().map(setting).collect(),
    }
}

fn setting(SettingVitals { name, value, is_tenants_own }: SettingVitals) -> v1::EffectiveSetting {
    let origin = if is_tenants_own { v1::SettingOrigin::Tenant } else { v1::SettingOrigin::Cluster };
    v1::EffectiveSetting { name, value, origin: origin.into() }
}

fn live_browser(told: BrowserVitals) -> v1::LiveBrowser {
    let browser = v1::LiveBrowser {
        uptime: duration(told.uptime),
        browser_version: told.browser_version,
        bridge_version: told.bridge_version,
        library_version: told.library_version,
        page_version: told.page_version,
        limits_held_by: told.limits_held_by,
        ..v1::LiveBrowser::default()
    };
    let Some(processes) = told.processes else { return browser };
    v1::LiveBrowser {
        pid: processes.pid,
        processes: count(processes.processes),
        pss_bytes: processes.pss_bytes.map(long),
        own_bytes: long(processes.own_bytes),
        cpu_time: duration(processes.cpu_time),
        cpu_share: processes.cpu_share,
        ..browser
    }
}

pub(super) fn duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

/// Sizes and counts are far below the limit of the message's field.
fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
