//! The plan function alone, on its largest task.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use roost_cluster::plan::{Intake, NodeView, Snapshot, TenantView, Wanted, plan};
use roost_model::ids::{Generation, NodeId, TenantId};

/// Every tenant to be placed on empty nodes.
pub fn full_plan(nodes: usize, tenants: usize) -> Result<Duration> {
    let nodes = (0..nodes).map(|number| {
        let node = NodeId::new(&format!("n{number:04}"))?;
        let zone = "default".to_owned();
        Ok(NodeView { node, capacity: 200, weight: 100, zone, intake: Intake::Open, memory: None })
    });
    let new_tenants = (0..tenants).map(|number| {
        Ok(TenantView {
            tenant: TenantId::new(&format!("t{number}"))?,
            wanted: Wanted::Running,
            generation: Generation(0),
            last: None,
            pin: None,
            move_to: None,
            leaves: None,
            memory_request_bytes: None,
            preparations: Vec::new(),
            unprepared: Vec::new(),
            holds: Vec::new(),
        })
    });
    let snapshot = Snapshot::new(nodes.collect::<Result<_>>()?, new_tenants.collect::<Result<_>>()?);
    let began = Instant::now();
    let plan = plan(&snapshot);
    let took = began.elapsed();
    ensure!(plan.placements().count() == tenants, "not every tenant was placed");
    Ok(took)
}
