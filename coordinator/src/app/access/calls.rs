//! Who may call what: the one table of it, for every face. A call of `roost.v1` that has no line here does not build
//! (`grpc/every_call.rs`).

use roost_model::Role::{self, Admin, Operator, Owner, Processor, Staff, Viewer};

/// See docs/access.md for what each may do in the end.
const ANYBODY: &[Role] = &Role::ALL;
const ADMINS: &[Role] = &[Admin];
/// Runs the cluster.
const OPERATE: &[Role] = &[Admin, Operator];
/// Sees it.
const VIEW: &[Role] = &[Admin, Operator, Viewer];
/// Sees a tenant, but for what its customers and it say to one another.
const VIEW_TENANT: &[Role] = &Role::ALL;
/// Sees that as well.
const CONVERSE: &[Role] = &[Admin, Operator, Owner, Staff, Processor];
/// Runs a tenant's automation.
const RUN_TENANT: &[Role] = &[Admin, Operator, Owner];

/// What becomes of a call in the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audited {
    /// It changes something.
    Order,
    /// It would let others act as the tenant: written when it is none of the tenant's own who asks.
    Content,
    /// It shows what a tenant and its customers say to one another: the same, and whoever runs the cluster has to say why, which the tenant may
    /// read.
    Look,
    /// It tells of things that are no secret among those who may call it. Only a refusal is written.
    Question,
}

/// What a call is about, by the path of a field of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Cluster,
    Tenant(&'static str),
    Node(&'static str),
    /// A tenant that goes to a node.
    TenantAndNode(&'static str, &'static str),
}

impl Subject {
    pub fn tenant(self) -> Option<&'static str> {
        match self {
            Self::Tenant(field) | Self::TenantAndNode(field, _) => Some(field),
            Self::Cluster | Self::Node(_) => None,
        }
    }

    pub fn node(self) -> Option<&'static str> {
        match self {
            Self::Node(field) | Self::TenantAndNode(_, field) => Some(field),
            Self::Cluster | Self::Tenant(_) => None,
        }
    }
}

/// A call, and who may make it.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// `/package.Service/Method`.
    pub path: &'static str,
    pub roles: &'static [Role],
    pub subject: Subject,
    pub audited: Audited,
}

impl Call {
    /// `Service/Method`.
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }
}

/// None: there is no such call.
pub fn find(path: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.path == path)
}

const fn order(path: &'static str, roles: &'static [Role], subject: Subject) -> Call {
    Call { path, roles, subject, audited: Audited::Order }
}

const fn content(path: &'static str, roles: &'static [Role], subject: Subject) -> Call {
    Call { path, roles, subject, audited: Audited::Content }
}

const fn look(path: &'static str, roles: &'static [Role], subject: Subject) -> Call {
    Call { path, roles, subject, audited: Audited::Look }
}

const fn question(path: &'static str, roles: &'static [Role], subject: Subject) -> Call {
    Call { path, roles, subject, audited: Audited::Question }
}

const CLUSTER: Subject = Subject::Cluster;
const TENANT: Subject = Subject::Tenant("tenant_id");
const NODE: Subject = Subject::Node("node_id");
const MOVE: Subject = Subject::TenantAndNode("tenant_id", "node_id");

/// Roles of one tenant stand only where `subject` names a tenant: it is what the call is held to.
#[rustfmt::skip]
pub const CALLS: &[Call] = &[
    order("/roost.v1.AccessService/CreateToken", ADMINS, TENANT),
    question("/roost.v1.AccessService/ListTokens", ADMINS, CLUSTER),
    order("/roost.v1.AccessService/RevokeToken", ADMINS, CLUSTER),
    question("/roost.v1.AccessService/GetCaller", ANYBODY, CLUSTER),
    question("/roost.v1.AccessService/ListLooks", &[Admin, Operator, Owner, Staff], TENANT),
    question("/roost.v1.AccessService/ListAuditEntries", ADMINS, TENANT),

    order("/roost.v1.MemberService/InviteMember", RUN_TENANT, TENANT),
    question("/roost.v1.MemberService/ListMembers", &[Admin, Operator, Viewer, Owner, Staff], TENANT),
    order("/roost.v1.MemberService/RemoveMember", RUN_TENANT, TENANT),
    order("/roost.v1.MemberService/CreatePasswordReset", OPERATE, CLUSTER),

    content("/roost.v1.ChatService/GetChat", CONVERSE, TENANT),
    order("/roost.v1.ChatService/TakeOverChat", CONVERSE, TENANT),
    order("/roost.v1.ChatService/ReleaseChat", CONVERSE, TENANT),
    order("/roost.v1.ChatService/SendChatMessage", CONVERSE, TENANT),

    order("/roost.v1.SetupService/InviteApplicant", OPERATE, CLUSTER),
    question("/roost.v1.SetupService/ListSetupRequests", VIEW, CLUSTER),
    question("/roost.v1.SetupService/GetSetupRequest", VIEW, CLUSTER),
    order("/roost.v1.SetupService/ReviewSetupRequest", OPERATE, CLUSTER),
    order("/roost.v1.SetupService/ApproveSetupRequest", OPERATE, TENANT),
    order("/roost.v1.SetupService/RejectSetupRequest", OPERATE, CLUSTER),

    order("/roost.v1.UserService/CreateUser", ADMINS, CLUSTER),
    question("/roost.v1.UserService/ListUsers", ADMINS, CLUSTER),
    order("/roost.v1.UserService/SetUserRole", ADMINS, CLUSTER),
    order("/roost.v1.UserService/RemoveUser", ADMINS, CLUSTER),
    order("/roost.v1.UserService/ResetUser", ADMINS, CLUSTER),

    question("/roost.v1.TenantService/GetTenant", VIEW_TENANT, Subject::Tenant("id")),
    question("/roost.v1.TenantService/ListTenants", VIEW, CLUSTER),
    order("/roost.v1.TenantService/CreateTenant", OPERATE, TENANT),
    order("/roost.v1.TenantService/UpdateTenant", OPERATE, Subject::Tenant("tenant.id")),
    order("/roost.v1.TenantService/UpdateTemplateSettings", RUN_TENANT, Subject::Tenant("tenant.id")),
    question("/roost.v1.TenantService/PreviewTemplate", CONVERSE, TENANT),
    order("/roost.v1.TenantService/DeleteTenant", OPERATE, Subject::Tenant("id")),
    order("/roost.v1.TenantService/ApplyTenants", OPERATE, CLUSTER),
    question("/roost.v1.TenantService/PlanSettingsUpdate", VIEW, CLUSTER),
    order("/roost.v1.TenantService/StartSettingsUpdate", OPERATE, CLUSTER),
    question("/roost.v1.TenantService/PlanSettingsUndo", VIEW, CLUSTER),
    order("/roost.v1.TenantService/StartSettingsUndo", OPERATE, CLUSTER),
    order("/roost.v1.TenantService/PinTenant", OPERATE, MOVE),
    order("/roost.v1.TenantService/UnpinTenant", OPERATE, TENANT),
    question("/roost.v1.TenantService/ExplainPlacement", VIEW, TENANT),

    question("/roost.v1.WorkerService/GetWorker", VIEW_TENANT, TENANT),
    question("/roost.v1.WorkerService/ListWorkers", VIEW, CLUSTER),
    question("/roost.v1.WorkerService/WatchWorkers", VIEW, TENANT),
    order("/roost.v1.WorkerService/StartWorker", RUN_TENANT, TENANT),
    order("/roost.v1.WorkerService/StopWorker", RUN_TENANT, TENANT),
    order("/roost.v1.WorkerService/RestartWorker", RUN_TENANT, TENANT),
    order("/roost.v1.WorkerService/ForceRestartWorker", OPERATE, TENANT),

    question("/roost.v1.WorkerInspectionService/DescribeWorker", VIEW, TENANT),
    question("/roost.v1.WorkerInspectionService/ListConditionChanges", VIEW_TENANT, TENANT),
    question("/roost.v1.WorkerInspectionService/ReadWorkerLog", &[Admin, Operator, Viewer, Owner], TENANT),
    order("/roost.v1.WorkerInspectionService/SetWorkerLogLevel", OPERATE, TENANT),
    look("/roost.v1.WorkerInspectionService/TakeScreenshot", OPERATE, TENANT),

    content("/roost.v1.SessionService/GetSession", RUN_TENANT, TENANT),
    content("/roost.v1.SessionService/DrawQrCode", RUN_TENANT, TENANT),
    content("/roost.v1.SessionService/WatchSession", RUN_TENANT, TENANT),
    order("/roost.v1.SessionService/RequestPairingCode", RUN_TENANT, TENANT),
    order("/roost.v1.SessionService/CreateScanLink", RUN_TENANT, TENANT),
    order("/roost.v1.SessionService/ResumeLinking", RUN_TENANT, TENANT),
    order("/roost.v1.SessionService/Logout", RUN_TENANT, TENANT),
    question("/roost.v1.SessionService/ListSessionSnapshots", VIEW, TENANT),
    order("/roost.v1.SessionService/RestoreSessionSnapshot", OPERATE, TENANT),
    order("/roost.v1.SessionService/ImportSession", OPERATE, CLUSTER),
    question("/roost.v1.SessionService/ListSnapshotOrphans", VIEW, CLUSTER),
    order("/roost.v1.SessionService/RemoveSnapshotOrphan", OPERATE, CLUSTER),

    look("/roost.v1.MessageService/ListMessages", CONVERSE, TENANT),
    look("/roost.v1.MessageService/WatchMessages", CONVERSE, TENANT),
    order("/roost.v1.MessageService/EraseChat", RUN_TENANT, TENANT),
    look("/roost.v1.MessageService/ListDeadLetters", CONVERSE, TENANT),
    look("/roost.v1.MessageService/GetDeadLetter", OPERATE, CLUSTER),
    order("/roost.v1.MessageService/RedriveDeadLetters", OPERATE, TENANT),

    question("/roost.v1.NodeService/ListNodes", VIEW, CLUSTER),
    question("/roost.v1.NodeService/GetNode", VIEW, Subject::Node("id")),
    order("/roost.v1.NodeService/Cordon", OPERATE, Subject::Node("id")),
    order("/roost.v1.NodeService/Uncordon", OPERATE, Subject::Node("id")),
    order("/roost.v1.NodeService/SetRestartWindow", OPERATE, Subject::Node("id")),
    order("/roost.v1.NodeService/ClearRestartWindow", OPERATE, Subject::Node("id")),

    question("/roost.v1.OperationService/PlanDrain", VIEW, NODE),
    order("/roost.v1.OperationService/StartDrain", OPERATE, NODE),
    question("/roost.v1.OperationService/PlanRebalance", VIEW, CLUSTER),
    order("/roost.v1.OperationService/StartRebalance", OPERATE, CLUSTER),
    question("/roost.v1.OperationService/PlanMove", VIEW, MOVE),
    order("/roost.v1.OperationService/StartMove", OPERATE, MOVE),
    question("/roost.v1.OperationService/PlanFleetOperation", VIEW, CLUSTER),
    order("/roost.v1.OperationService/StartFleetOperation", OPERATE, NODE),
    question("/roost.v1.OperationService/GetOperation", VIEW, CLUSTER),
    question("/roost.v1.OperationService/ListOperations", VIEW, CLUSTER),
    question("/roost.v1.OperationService/WatchOperation", VIEW, CLUSTER),
    order("/roost.v1.OperationService/CancelOperation", OPERATE, CLUSTER),
    order("/roost.v1.OperationService/ResumeOperation", OPERATE, CLUSTER),

    question("/roost.v1.ClusterService/GetClusterStatus", VIEW, CLUSTER),
    question("/roost.v1.ClusterService/ListEvents", VIEW, CLUSTER),
    question("/roost.v1.ClusterService/WatchEvents", VIEW, CLUSTER),
    order("/roost.v1.ClusterService/PauseFailover", OPERATE, CLUSTER),
    order("/roost.v1.ClusterService/ResumeFailover", OPERATE, CLUSTER),
    order("/roost.v1.ClusterService/UpdatePolicy", OPERATE, CLUSTER),

    // A version is code that runs in every tenant's page.
    order("/roost.v1.VersionService/CreateVersion", ADMINS, CLUSTER),
    question("/roost.v1.VersionService/ListVersions", VIEW, CLUSTER),
    order("/roost.v1.VersionService/DeleteVersion", OPERATE, CLUSTER),
    order("/roost.v1.VersionService/PinVersion", OPERATE, CLUSTER),
    question("/roost.v1.VersionService/PlanRollout", VIEW, CLUSTER),
    order("/roost.v1.VersionService/StartRollout", OPERATE, CLUSTER),

    question("/grpc.health.v1.Health/Watch", ANYBODY, CLUSTER),
    question("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ANYBODY, CLUSTER),
    question("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ANYBODY, CLUSTER),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_of_one_tenant_calls_only_what_names_a_tenant_or_nothing_but_the_caller() {
        let harmless = ["AccessService/GetCaller", "Health/Watch", "ServerReflection/ServerReflectionInfo"];
        for call in CALLS.iter().filter(|call| call.roles.iter().any(|role| role.is_of_a_tenant())) {
            assert!(call.subject.tenant().is_some() || harmless.contains(&call.name()), "{}", call.path);
        }
    }

    #[test]
    fn an_admin_may_make_every_call_and_a_viewer_no_order_and_no_look_at_content() {
        for call in CALLS {
            assert!(call.roles.contains(&Admin), "{}", call.path);
            assert!(!call.roles.contains(&Viewer) || call.audited == Audited::Question, "{}", call.path);
        }
    }

    #[test]
    fn a_call_is_found_by_its_path_alone() {
        assert_eq!(find("/roost.v1.TenantService/GetTenant").unwrap().name(), "TenantService/GetTenant");
        for path in ["/roost.v1.TenantService/GetTenant/", "/GetTenant", ""] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
