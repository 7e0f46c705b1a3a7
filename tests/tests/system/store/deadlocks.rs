//! One order of locks: every statement that locks several rows, run against every other one, and none gives way to
//! another.

use std::time::Duration;

use roost_cluster::ledger::{Ledger, LedgerError, LedgerRecord};
use roost_model::ids::{Generation, NodeId, SessionNumber, TenantId};
use roost_store::{
    DeadLetterFilter, Fence, NewMove, OperationFilter, OperationState, Requester, Saying, SessionStatus,
    SnapshotPointer, StatusReport, StoreError, TenantPatch, TenantStatus, WorkerStatus,
};
use time::OffsetDateTime;

use crate::store::{
    operations::drain,
    support::{Db, answer, message, new_tenant, node, tenant},
};

const TENANTS: u64 = 8;
const ACTS: u32 = 60;

/// A small generator, so that a run can be repeated from its printed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn tenant(&mut self) -> String {
        format!("t{}", self.roll(TENANTS))
    }

    /// All tenants in no order.
    fn shuffled(&mut self) -> Vec<String> {
        let mut all: Vec<_> = (0..TENANTS).map(|n| (self.roll(1000), format!("t{n}"))).collect();
        all.sort();
        all.into_iter().map(|(_, tenant)| tenant).collect()
    }
}

async fn act(db: &Db, dice: &mut Dice) -> Result<(), StoreError> {
    let id = tenant(&dice.tenant());
    let generation = match db.store.get_worker(&id).await {
        Ok(worker) => worker.generation,
        Err(StoreError::NotFound { .. }) => {
            return db.store.create_tenant(new_tenant(id.as_str())).await.map(drop);
        }
        Err(other) => return Err(other),
    };
    let fence = Fence { tenant: id.clone(), generation };
    let report = StatusReport {
        worker_status: Some(WorkerStatus::Running),
        tenant_status: Some(TenantStatus::Active),
        session_status: Some(SessionStatus::Connected),
        ..StatusReport::default()
    };
    match dice.roll(26) {
        0 => db.store.start_worker(&id).await.map(drop),
        1 => db.store.stop_worker(&id).await.map(drop),
        2 => db.store.force_restart_worker(&id, true).await.map(drop),
        3 => db.store.update_tenant(&id, TenantPatch::default()).await.map(drop),
        4 if dice.roll(4) == 0 => db.store.delete_tenant(&id).await,
        5 => db.store.request_logout(&id).await.map(drop),
        6 => db.store.set_qr(&fence, None).await,
        7 if dice.roll(2) == 0 => db.store.clear_snapshot(&fence).await.map(drop),
        7 => db.store.begin_session(&fence, SessionNumber(dice.roll(1_000).cast_signed())).await,
        16 => db.store.correct_snapshot(&fence, &pointer(generation, dice)).await,
        20 => db.store.set_snapshot(&fence, &pointer(generation, dice)).await.map(drop),
        21 => order_restore(db, dice, &id).await,
        22 => match db.store.ordered_restore(&fence).await? {
            Some(from) if dice.roll(2) == 0 => {
                db.store.restored(&fence, from, &pointer(generation, dice)).await.map(drop)
            }
            Some(from) => db.store.not_restored(&fence, from, "gone").await,
            None => Ok(()),
        },
        17 => {
            let older = pointer(generation, dice);
            db.store.fall_back_to_snapshot(&fence, Some(&older), "damaged").await
        }
        8 => {
            let pending = db.store.pending_inbound(&fence, 0, 5).await?;
            let completions: Vec<_> = pending.iter().rev().map(answer).collect();
            let queued = db.store.complete(&fence, &completions).await?;
            let ids: Vec<_> = queued.iter().rev().map(|reply| reply.id).collect();
            db.store.mark_sent(&fence, &ids, &ids[..ids.len().min(1)]).await
        }
        19 => give_up_and_redrive(db, &fence).await,
        9 => db.store.report(&fence, &report).await,
        10 => db.store.pin_tenant(&id, &node("a"), &Requester::default()).await.map(drop),
        18 => db.store.delete_next_batch().await.map(drop),
        11 => db.store.unpin_tenant(&id, &Requester::default()).await.map(drop),
        12 => db.store.record_conflict(&fence).await.map(drop),
        14 | 15 => db.store.erase_chat(&id, "c", &Requester::default()).await.map(drop),
        13 => act_on_operations(db, dice, &id).await,
        23 => take_and_say(db, dice, &id).await,
        _ => db.store.admit(&fence, &[message(&dice.roll(u64::MAX).to_string(), "c")]).await.map(drop),
    }
}

async fn order_restore(db: &Db, dice: &mut Dice, id: &TenantId) -> Result<(), StoreError> {
    let listed = db.store.session_snapshots(id).await?;
    let nth = usize::try_from(dice.roll(8)).unwrap();
    let Some(snapshot) = listed.get(nth) else { return Ok(()) };
    match db.store.order_restore(id, snapshot.id, &Requester::default()).await {
        Err(StoreError::NotRestorable { .. }) => Ok(()),
        ordered => ordered,
    }
}

async fn take_and_say(db: &Db, dice: &mut Dice, id: &TenantId) -> Result<(), StoreError> {
    let by = ["asha", "juma"][usize::try_from(dice.roll(2)).unwrap()];
    let version = db.store.chat_hold(id, "c").await?.version;
    let saying = Saying {
        chat: "c".into(),
        body: "said".into(),
        by: by.into(),
        key: dice.roll(u64::MAX).to_string(),
        whatsapp_id: "said".into(),
    };
    let told = match dice.roll(3) {
        0 => db.store.take_chat(id, "c", by, version).await.map(drop),
        1 => db.store.release_chat(id, "c", version).await.map(drop),
        _ => db.store.say_in_chat(id, &saying).await,
    };
    match told {
        Err(StoreError::ChatChanged { .. }) => Ok(()),
        told => told,
    }
}

async fn give_up_and_redrive(db: &Db, fence: &Fence) -> Result<(), StoreError> {
    if let Some(message) = db.store.pending_inbound(fence, 0, 1).await?.first() {
        db.store.bury_inbound(fence, message.id, "given up").await?;
    }
    if let Some(reply) = db.store.pending_outbound(fence, 0, 1).await?.first() {
        db.store.bury_outbound(fence, reply.id, "given up").await?;
    }
    let dead = db.store.list_dead_letters(&DeadLetterFilter::default(), None, 3).await?;
    let dead: Vec<_> = dead.iter().map(|letter| letter.id).rev().collect();
    db.store.redrive(&dead, &Requester::default()).await.map(drop)
}

fn pointer(generation: Generation, dice: &mut Dice) -> SnapshotPointer {
    let sequence = dice.roll(100).cast_signed();
    SnapshotPointer {
        manifest: "m".into(),
        generation,
        sequence,
        clean: true,
        at: OffsetDateTime::UNIX_EPOCH,
        bytes: None,
    }
}

async fn act_on_operations(db: &Db, dice: &mut Dice, id: &TenantId) -> Result<(), StoreError> {
    let nobody = Requester::default();
    let order = NewMove { tenant: id.clone(), to: node("b") };
    match dice.roll(6) {
        0 => db.store.start_drain(&drain("a"), &nobody).await.map(drop),
        1 => db.store.start_move(&order, &nobody).await.map(drop),
        2 => db.store.cordon(&node("a"), &nobody).await.map(drop),
        3 => db.store.uncordon(&node("a"), &nobody).await.map(drop),
        4 => db.store.purge().await.map(drop),
        _ => {
            let running = OperationFilter { state: Some(OperationState::Running), ..Default::default() };
            for record in db.store.list_operations(&running, None, 10).await? {
                db.store.cancel_operation(record.id, &nobody).await?;
            }
            Ok(())
        }
    }
}

async fn act_on_all(db: &Db, dice: &mut Dice) -> Result<(), LedgerError> {
    let all: Vec<_> = dice.shuffled().iter().map(|id| tenant(id)).collect();
    match dice.roll(5) {
        4 => {
            let placed = |tenant| LedgerRecord::Placed {
                tenant,
                node: node("a"),
                because: "x".into(),
                operation: None,
            };
            let mut records: Vec<_> = all.into_iter().map(placed).collect();
            records.push(LedgerRecord::Suspect { node: node("a"), span: Duration::from_secs(1) });
            records.push(LedgerRecord::StartRebalance);
            db.ledger.record(db.term, &records).await
        }
        0 => {
            let node = NodeId::new("a").unwrap();
            let placements: Vec<_> = all.into_iter().map(|tenant| (tenant, node.clone())).collect();
            db.ledger.place(db.term, &placements).await.map(drop)
        }
        1 => db.ledger.unplace(db.term, &all).await.map(drop),
        2 => db.ledger.mark_stale(db.term, Duration::ZERO).await.map(drop),
        _ => {
            let workers = db.store.list_workers(&Default::default(), None, 100).await.unwrap();
            let fences =
                workers.into_iter().rev().map(|w| Fence { tenant: w.tenant, generation: w.generation });
            db.store.heartbeat(&fences.map(Into::into).collect::<Vec<_>>()).await.unwrap();
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_statements_wait_for_each_other_in_a_circle() {
    let seed = u64::from(std::process::id()) | 1 << 40;
    println!("seed {seed}");
    let db = std::sync::Arc::new(Db::new().await);
    let actors = (0..8).map(|actor| {
        let db = db.clone();
        tokio::spawn(async move {
            let mut dice = Dice(seed + actor);
            for _ in 0..ACTS {
                let outcome = if actor < 6 {
                    act(&db, &mut dice).await.map_err(anyhow::Error::from)
                } else {
                    act_on_all(&db, &mut dice).await.map_err(anyhow::Error::from)
                };
                check(outcome);
            }
        })
    });
    for actor in actors.collect::<Vec<_>>() {
        actor.await.unwrap();
    }
    assert_eq!(db.astray().await, 0, "what waits is told by a row beside it, whatever has become of it");
}

/// Refusals are the point of the fence; an unavailable database is what a deadlock would look like.
fn check(outcome: anyhow::Result<()>) {
    let Err(error) = outcome else { return };
    match error.downcast_ref::<StoreError>() {
        Some(
            StoreError::Fenced { .. }
            | StoreError::NotFound { .. }
            | StoreError::AlreadyExists { .. }
            | StoreError::BeingDeleted { .. }
            | StoreError::Conflict { .. }
            | StoreError::NotConnected { .. },
        ) => {}
        _ => panic!("{error:?}"),
    }
}
