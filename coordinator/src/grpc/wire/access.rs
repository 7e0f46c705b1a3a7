//! Tokens, callers and the audit.

use roost_model::{Role, ids::TenantId};
use roost_proto::v1;
use roost_store::{AuditRecord, Token};

use super::timestamp;
use crate::app::access::Caller;

pub fn token(row: Token) -> v1::Token {
    let (revoke_time, revoked_by) = row.revoked.unzip();
    v1::Token {
        id: row.id,
        name: row.name,
        role: role(row.grant.role()).into(),
        tenant_id: tenant_id(row.grant.tenant()),
        create_time: Some(timestamp(row.created_at)),
        created_by: row.created_by,
        expire_time: Some(timestamp(row.expires_at)),
        revoke_time: revoke_time.map(timestamp),
        revoked_by: revoked_by.unwrap_or_default(),
        last_use_time: row.last_used_at.map(timestamp),
    }
}

pub fn caller(caller: &Caller) -> v1::Caller {
    v1::Caller {
        name: caller.name().to_owned(),
        role: role(caller.grant().role()).into(),
        tenant_id: tenant_id(caller.grant().tenant()),
    }
}

pub fn audit_entry(AuditRecord { id, at, entry }: AuditRecord) -> v1::AuditEntry {
    v1::AuditEntry {
        id,
        time: Some(timestamp(at)),
        caller: entry.caller,
        role: role(entry.role).into(),
        call: entry.call,
        tenant_id: tenant_id(entry.tenant.as_ref()),
        node_id: entry.node.map(String::from).unwrap_or_default(),
        origin: entry.origin,
        result: entry.result,
        requested_by: entry.requested_by,
        reason: entry.reason,
    }
}

pub fn look(AuditRecord { at, entry, .. }: AuditRecord) -> v1::Look {
    v1::Look {
        time: Some(timestamp(at)),
        caller: entry.caller,
        role: role(entry.role).into(),
        call: entry.call,
        tenant_id: tenant_id(entry.tenant.as_ref()),
        reason: entry.reason,
    }
}

pub(super) fn role(role: Role) -> v1::Role {
    match role {
        Role::Admin => v1::Role::Admin,
        Role::Operator => v1::Role::Operator,
        Role::Viewer => v1::Role::Viewer,
        Role::Owner => v1::Role::Owner,
        Role::Staff => v1::Role::Staff,
        Role::Processor => v1::Role::Processor,
    }
}

fn tenant_id(tenant: Option<&TenantId>) -> String {
    tenant.map(ToString::to_string).unwrap_or_default()
}
