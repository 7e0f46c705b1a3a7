//! The plan function alone, on its largest task.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use roost_cluster::plan::{Goal, Intake, MoveLimits, NodeView, Snapshot, TenantView, Wanted, plan};
use roost_model::ids::{Generation, NodeId, TenantId};

/// Every tenant to be placed on empty nodes.
pub fn full_plan(nodes: usize, tenants: usize) -> Result<Duration> {
    let nodes = (0..nodes).map(|number| {
        let node = NodeId::new(&format!("n{number:04}"))?;
        Ok(NodeView { node, capacity: 200, weight: 100, zone: "default".to_owned(), intake: Intake::Open })
    });
    let new_tenants = (0..tenants).map(|number| {
        Ok(TenantView {
            tenant: TenantId::new(&format!("t{number}"))?,
            wanted: Wanted::Running,
            generation: Generation(0),
            last: None,
            pin: None,
            move_to: None,
            preparations: Vec::new(),
            unprepared: Vec::new(),
            holds: Vec::new(),
        })
    });
    let snapshot = Snapshot {
        nodes: nodes.collect::<Result<_>>()?,
        tenants: new_tenants.collect::<Result<_>>()?,
        goal: Goal::Settle,
        awaited: BTreeSet::new(),
        failover_paused: false,
        failover_ramp: None,
        failing_zones: BTreeSet::new(),
        limits: MoveLimits::default(),
        rebalance_limits: MoveLimits::default(),
        unreadable: BTreeMap::new(),
    };
    let began = Instant::now();
    let plan = plan(&snapshot);
    let took = began.elapsed();
    ensure!(plan.placements().count() == tenants, "not every tenant was placed");
    Ok(took)
}
