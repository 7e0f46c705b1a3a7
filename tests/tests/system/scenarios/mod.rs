//! Scenarios over real processes: etcd, Postgres, coordinator, nodes and a Chromium per tenant, with the simulator as the
//! judge. Each has a cluster of its own; every one of them ends with no overlap of live connections (I1).

mod answering;
mod buckets;
mod daily;
mod damage;
mod failover;
mod grey_nodes;
mod imports;
mod limits;
mod linking;
mod memory;
mod moves;
mod operations;
mod outages;
mod own_proxy;
mod portal;
mod rollouts;
mod sandbox;
mod screenshots;
mod session;
mod shut_gates;
mod spares;
mod stage;
mod starts;
