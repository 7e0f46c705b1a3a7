# The guards that I1 and I2 rest on, and those against moving tenants for nothing: how each is taken out (mutate_NAME, in a
# copy of the tree), and the test that must fail then (test_of[NAME]).

guards=(deadline guard_process dead_mans_timer renewal generation generation_key term leader_cas conflict seal store_mark breaker
  shedding shared_impairment claim gap base own_copy known_blobs shared_blobs spare_stamp chaos_frozen_pair chaos_mass_loss chaos_grey_node)
declare -A test_of

# A lease never runs out for its holder: nothing stops by itself.
mutate_deadline() {
  edit cluster/src/lease_deadline.rs 'if now >= self.deadline() {' 'if now == Duration::MAX {'
}
test_of[deadline]='cargo test -p roost-cluster --lib -- lease_deadline:: lease::'

# The guard does not act on the deadline of a child that hangs or is frozen.
mutate_guard_process() {
  edit node/src/guard/child.rs 'self.deadline.is_some_and(|deadline| now >= deadline)' 'self.deadline.is_some_and(|_| false)'
}
test_of[guard_process]='cargo test -p roost-node --test guard'

# A child that is stopped together with its guard outlives its deadline.
mutate_dead_mans_timer() {
  edit node/src/guard/link.rs 'self.set_timer(Some(at));' ''
}
test_of[dead_mans_timer]='cargo test -p roost-node --test guard'

# A keepalive that is answered counts, whatever it proves.
mutate_renewal() {
  edit cluster/src/registry/etcd/mod.rs '        let mut read = renewed.await?;' \
    '        let kept = async |client: Client| client.lease_client().keep_alive(lease.0).await;
        if self.call_to(member, STEP, kept).await.is_ok() { return Ok(()); }
        let mut read = renewed.await?;'
}
test_of[renewal]='cargo test -p roost-tests --test system -- cluster::failures::a_leader_whose_disk_stalls'

# Writes of an old owner are taken.
mutate_generation() {
  edit "$(echo store/src/*.rs)" 'and generation = $2' 'and ($2::bigint is not null)' &&
    store/prepare-sql.sh
}
test_of[generation]='cargo test -p roost-tests --test system -- store::fencing'

# A new generation passes a write of the old owner that is under way.
mutate_generation_key() {
  edit migrations/0006_key_share_fences_and_heartbeats.sql 'unique (tenant_id, generation)' 'unique (tenant_id, restarts)' &&
    store/prepare-sql.sh
}
test_of[generation_key]='cargo test -p roost-tests --test system -- store::fencing'

# Writes of a deposed controller are taken.
mutate_term() {
  edit "$(echo store/src/ledger/*.rs)" 'where term = $1 for share' 'where $1::bigint is not null for share' &&
    store/prepare-sql.sh
}
test_of[term]='cargo test -p roost-tests --test system -- store::ledger'

# A controller's commits are not bound to its own leader key.
mutate_leader_cas() {
  edit cluster/src/election.rs \
    'Guard::HeldBy { key: keys::LEADER.to_owned(), lease: self.lease }' \
    'Guard::Absent { key: format!("no-such-key-{}", self.revision) }'
}
test_of[leader_cas]='cargo test -p roost-cluster --lib -- controller::tests::guards'

# A worker that is evicted takes the session back without asking whose it is.
mutate_conflict() {
  edit node/src/worker/wakeups.rs 'vec![Event::Owner(answer)]' 'vec![Event::Owner(answer.map(|_| true))]'
}
test_of[conflict]='cargo test -p roost-tests --test system -- pipeline::worker::a_conflict'

# A database is taken by another store although the one that has it gives signs of life.
mutate_seal() {
  edit store/src/ledger/seal.rs "where store in ('', \$1) or \$4" "where true or store in ('', \$1) or \$4" &&
    store/prepare-sql.sh
}
test_of[seal]='cargo test -p roost-tests --test system -- store::ledger::the_database_belongs'

# A store that another one has had the database from is trusted at once when it takes it back.
mutate_store_mark() {
  edit cluster/src/controller/store_identity.rs 'seal.owner.as_ref().is_none_or(|owner| owner.store == record.id)' 'true'
}
test_of[store_mark]='cargo test -p roost-cluster --lib -- controller::tests::two_stores'

# Any number of nodes that go at once is answered at once.
mutate_breaker() {
  edit cluster/src/controller/failover_breaker.rs 'facts.waiting > 0 && (many_nodes' 'facts.waiting > usize::MAX - 1 && (many_nodes'
}
test_of[breaker]='cargo test -p roost-cluster --lib -- controller::tests::failover_breaker controller::tests::delayed_failover'

# Tenants stay on a node that lacks what they need.
mutate_shedding() {
  edit cluster/src/controller/impairments.rs 'assessment.shedding.insert(node.clone());' ''
}
test_of[shedding]='cargo test -p roost-cluster --lib -- controller::impairments controller::tests::impairments'

# They leave it also when all nodes lack the same.
mutate_shared_impairment() {
  edit cluster/src/controller/impairments.rs 'alike <= (self.live / ONE_IN).max(1) && alike < self.live' 'alike > 0'
}
test_of[shared_impairment]='cargo test -p roost-cluster --lib -- controller::impairments controller::tests::impairments'

# A newer message is taken before what its page told while nobody could take it.
mutate_gap() {
  edit node/src/worker/perform.rs 'pipeline.intake().forget_until_swept();' 'let _ = pipeline;'
}
test_of[gap]='cargo test -p roost-tests --test system -- pipeline::gaps'

# What an owner went back to is built on, although somebody may be removing it.
mutate_base() {
  edit node/src/session/beginning.rs 'restored.name() >= latest' 'restored.name() >= latest || true'
}
test_of[base]='cargo test -p roost-node --lib -- session::tests::building whatever_fails'

# It is not stored anew.
mutate_own_copy() {
  edit node/src/session/beginning.rs 'restored.is_some_and(|restored| !known.is_of_the_latest(restored))' 'restored.is_some_and(|_| false)'
}
test_of[own_copy]='cargo test -p roost-node --lib -- session::tests::building whatever_fails'

# What a prune may have removed is still taken to be there.
mutate_known_blobs() {
  edit node/src/session/upload.rs '*self.blobs.get_mut() = kept;' ''
}
test_of[known_blobs]='cargo test -p roost-node --lib -- whatever_fails'

# A prune keeps no blobs of other generations.
mutate_shared_blobs() {
  edit node/src/session/snapshot_store.rs 'self.blobs.extend(manifest.blobs().map' \
    'let own = format!("{}/", manifest.generation);
        self.blobs.extend(manifest.blobs().filter(|blob| blob.starts_with(&own)).map'
}
test_of[shared_blobs]='cargo test -p roost-node --lib -- session::tests::building whatever_fails'

# The place in which a spare browser's directory comes is not stamped as nobody's before.
mutate_spare_stamp() {
  edit node/src/session/adoption.rs 'self.write_stamp(&self.unused_stamp(UNOWNED))' 'Ok(())'
}
test_of[spare_stamp]='cargo test -p roost-node --lib -- session::tests::adoption'

# Replies are sent that nobody has claimed.
mutate_claim() {
  edit node/src/pipeline/outbound.rs 'reply.claimed = true;' '' &&
    edit node/src/pipeline/jobs.rs 'async move { fenced.store.claim(&fenced.fence, &ids).await }' \
      'async move { drop((fenced, ids)); Ok(()) }'
}
test_of[claim]='cargo build --workspace --bins && cargo test --workspace --test system -- scenarios::daily::a_burst'

# Kinds of chaos, each with the guard out that it is drawn for: chaos that passes all the same would prove nothing. A stalled
# leader has none: an etcd 3.4 of Debian takes the leases of all nodes then, failover is held until the stall is over, and
# nothing runs twice meanwhile. What `renewal` takes out is shown on three members of etcd alone.
chaos() {
  echo "cargo build --workspace --bins && KINDS=$1 CHAOS_SECS=90 cargo test --workspace --test chaos every"
}

mutate_chaos_frozen_pair() { mutate_dead_mans_timer; }
test_of[chaos_frozen_pair]=$(chaos FreezePair)

# Failover that was held after the loss of many nodes waits for a person.
mutate_chaos_mass_loss() {
  edit cluster/src/controller/failover_breaker.rs 'open.survivors_lost >= CASCADE' 'true'
}
test_of[chaos_mass_loss]=$(chaos KillHalf)

mutate_chaos_grey_node() { mutate_shedding; }
test_of[chaos_grey_node]=$(chaos GreyNode)
