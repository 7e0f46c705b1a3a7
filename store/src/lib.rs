//! Postgres, the home of every fact that must outlive the cluster (I3), and the only place with SQL.
//!
//! ```text
//!   coordinator: tenants, workers, sessions, messages,       node: reports, inbound, outbound, limits, snapshots
//!     operations, node orders, pins, policy, events           /  each call names its Fence (I2)
//!                        \                                   /
//!                         +------------- Store --------------+
//!   controller: PostgresLedger (each call names its Term)    |
//!                                                         Postgres --- changes (LISTEN) ---> watchers
//! ```
//!
//! Of ours it imports model, whose enums it keeps as Postgres enums (`columns`), and cluster, whose `Ledger` it is.
//!
//! Start reading at [`fence`], the argument for I2; then [`inbound`], [`completion`] and [`outbound`], the queues that
//! make I6 true.
//! Rules of the house:
//!
//! - A write made for a worker is one statement: fence, rows and log in one snapshot, one round trip and one commit.
//!   There is no transaction that a process could be frozen in while it holds a row the controller needs. Two orders of
//!   operators are transactions, and bounded: [`erasure`] and [`apply`].
//! - Locks are taken in one order, which the migration states.
//! - Times that are compared with one another are the database's; a node's clock decides nothing here.
//! - Every call ends: with an answer, or after [`CALL_TIMEOUT`] as [`StoreError::Unavailable`] with its outcome
//!   unknown. Every write may be repeated then without harm.

pub mod access_tokens;
pub mod apply;
pub mod audit;
mod call;
pub mod changes;
mod columns;
pub mod completion;
pub mod condition;
mod connecting;
pub mod conversations;
mod cut_off_nodes;
pub mod dead_letters;
pub mod declarations;
pub mod deletions;
mod durability;
pub mod erasure;
mod error;
pub mod events;
pub mod fence;
mod first_contact;
mod halving;
pub mod inbound;
mod labels;
pub mod ledger;
mod linked_accounts;
pub mod log_levels;
mod log_tails;
pub mod messages;
mod migrations;
mod node_memory;
pub mod node_orders;
mod object_store;
pub mod operations;
pub mod outbound;
pub mod pairing;
pub mod people;
pub mod pins;
pub mod placements;
pub mod policy;
mod pool;
pub mod purge;
mod queue_depths;
pub mod removals;
pub mod reports;
mod scan_pauses;
pub mod session_imports;
pub mod session_numbers;
pub mod sessions;
mod set_apart;
mod settings_values;
mod snapshot_id;
pub mod snapshot_list;
pub mod snapshot_orphans;
pub mod snapshot_restores;
pub mod snapshots;
pub mod takeovers;
pub mod tenant_search;
pub mod tenants;
mod turnover;
pub mod versions;
pub mod worker_changes;
pub mod worker_conditions;
mod worker_figures;
mod worker_sights;
mod worker_status;
pub mod workers;

pub use access_tokens::{NewToken, Token, TokenDigest, TokenState};
pub use apply::{Apply, ApplyOutcome};
pub use audit::{AuditEntry, AuditFilter, AuditRecord};
pub use changes::{Change, ChangeKind, ClusterChange};
pub use completion::{Completion, NewOutbound, ReplyWindow};
pub use condition::{Condition, ConditionKind};
pub use conversations::{Chat, Found, Line, LineState};
pub use dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterKey, InvalidDeadLetterId};
pub use declarations::{AppliedTenant, FieldChange, Problem, RefusedField, TenantChange, TenantDeclaration};
pub use deletions::DeletionBatch;
pub use durability::DurabilityGap;
pub use error::{ImportRefusal, RestoreRefusal, StoreError};
pub use events::{ClusterEvent, EventFilter, Requester};
pub use fence::Fence;
pub use inbound::{Admitted, Inbound, NewInbound};
pub use labels::{LabelPatch, LabelSelector, Labels};
pub use ledger::{PostgresLedger, PresentController};
pub use linked_accounts::LinkedAccount;
pub use log_tails::{LogTail, SavedLogTail};
pub use messages::{Direction, Message, MessageFilter, MessageState};
pub use node_memory::MemoryDemand;
pub use node_orders::{NodeOrders, RestartWindowUntil};
pub use object_store::ObjectStoreOwner;
pub use operations::{
    Cancellation, ChosenWorker, NewDrain, NewFleetOrder, NewMove, NewRebalance, NewRollout, NewUndo,
    OperationFilter, OperationOrder, OperationRecord, OperationState, Resumption, RolloutChoice,
    RolloutOrder, SettingsOrder, SettingsPlan, TenantChanges, WorkerAction,
};
pub use outbound::Outbound;
pub use pairing::{PairingAnswer, PairingOrder, PairingProgress};
pub use people::{
    identities::{Binding, IDENTITY_SIGN_IN_WITHIN, IdentityPurpose, IdentityUser, UserIdentity},
    invitations::{Link, LinkUse, NewInvitation, NewLogin, Purpose},
    members::{Member, Standing},
    second_factors::{HalfSignedIn, OPERATOR_SESSION_AT_MOST},
    setup_requests::{SetupRequest, SetupState, SetupVerdict, WantedBusiness},
    users::{ClusterUser, NewUserLink, UserLink, UserLinkPurpose},
    web_sessions::{Login, Stage, WEB_SESSION_AT_MOST, WebUser},
};
pub use placements::Placement;
pub use policy::{ClusterPolicy, FailoverPause, PolicyPatch, RETENTION_DAYS};
pub use pool::{CALL_TIMEOUT, Store};
pub use purge::Purged;
pub use queue_depths::QueueDepths;
pub use removals::Removal;
pub use reports::{Heartbeat, SendFigures, StatusReport};
pub use session_imports::{ImportCheck, ImportOrder, ImportTicket};
pub use sessions::{QrCode, Session, SessionPlace, SessionStatus};
pub use settings_values::SettingsValues;
pub use snapshot_id::{InvalidSnapshotId, SnapshotId};
pub use snapshot_list::{ListedSnapshot, SNAPSHOTS_KEPT, SnapshotState};
pub use snapshot_orphans::{SnapshotOrphan, SortedSnapshots};
pub use snapshots::SnapshotPointer;
pub use takeovers::{ChatHold, Saying};
pub use tenant_search::{Elsewhere, FoundTenant, SearchedState, TenantSearch};
pub use tenants::{
    KnownProxy, LimitsPatch, NewTenant, TemporaryLogLevel, Tenant, TenantFilter, TenantPatch, TenantStatus,
};
pub use versions::{CONTENT_AT_MOST, ChosenVersions, NewVersion, Version, VersionKind, VersionRef};
pub use worker_changes::{WorkerHorizon, WorkersChanged};
pub use worker_conditions::ConditionChange;
pub use worker_figures::WorkerFigures;
pub use worker_status::WorkerStatus;
pub use workers::{DesiredState, RestartMode, Worker, WorkerFilter, WorkerSpec};
