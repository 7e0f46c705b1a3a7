//! What callers are told, for each error.

use roost_model::ids::{Generation, Incarnation, TenantId, Term};

use super::*;

fn tenant() -> TenantId {
    TenantId::new("asha").unwrap()
}

#[test]
fn errors_of_the_store_keep_their_meaning() {
    let cases = [
        (StoreError::Fenced { tenant: tenant(), generation: Generation(3) }, ErrorCode::Superseded),
        (StoreError::Deposed { term: Term(3) }, ErrorCode::Superseded),
        (StoreError::NotFound { kind: "tenant", id: "asha".into() }, ErrorCode::NotFound),
        (
            StoreError::AlreadyExists { field: "phone", value: "+255700000001".into() },
            ErrorCode::AlreadyExists,
        ),
        (StoreError::RequestOverLimit, ErrorCode::InvalidArgument),
        (StoreError::BeingDeleted { tenant: tenant() }, ErrorCode::FailedPrecondition),
        (StoreError::NotConnected { tenant: tenant() }, ErrorCode::FailedPrecondition),
        (StoreError::Corrupt { what: "a column", reason: "x".into() }, ErrorCode::Corrupt),
    ];
    for (error, code) in cases {
        let shown = error.to_string();
        assert_eq!(from_store(&error).code, code, "{shown}");
    }
}

#[test]
fn errors_of_the_registry_keep_their_meaning() {
    let reason = || "refused".to_owned();
    let cases = [
        (RegistryError::Unavailable { step: "list", reason: reason() }, ErrorCode::Unavailable),
        (RegistryError::LeaseLost { lease: Incarnation(1) }, ErrorCode::Superseded),
        (RegistryError::Refused { step: "list", reason: reason() }, ErrorCode::Internal),
        (RegistryError::Corrupt { key: "nodes/a".into(), reason: reason() }, ErrorCode::Corrupt),
    ];
    for (error, code) in cases {
        let shown = error.to_string();
        assert_eq!(from_registry(error).code, code, "{shown}");
    }
}

#[test]
fn what_is_down_is_named_with_a_time_to_try_again() {
    let etcd = from_registry(RegistryError::Unavailable { step: "list", reason: "no answer".into() });
    for (error, dependency) in [(not_migrated(None), POSTGRES), (etcd, ETCD), (stopping(), COORDINATOR)] {
        let unavailable = error.unavailable.unwrap();
        assert_eq!((unavailable.dependency.as_str(), unavailable.retry_after), (dependency, RETRY_AFTER));
    }
}

#[test]
fn postgres_is_not_named_as_away_when_it_answers() {
    let reason = || "permission denied for table tenants".to_owned();
    let refused = FailedMigration { is_away: false, reason: reason() };
    let errors = [
        not_migrated(Some(&refused)),
        from_ledger(LedgerError::Refused { kind: RefusalKind::Fault, reason: reason() }),
        from_ledger(LedgerError::Refused { kind: RefusalKind::Precondition, reason: reason() }),
        from_ledger(LedgerError::Refused { kind: RefusalKind::Value, reason: reason() }),
        from_ledger(LedgerError::Corrupt { reason: reason() }),
    ];
    for error in errors {
        assert!(error.unavailable.is_none(), "{error:?}");
        assert!(error.message.contains("permission denied"), "{}", error.message);
    }
    let away = FailedMigration { is_away: true, reason: "connection refused".to_owned() };
    let given_up = LedgerError::Refused { kind: RefusalKind::Passing, reason: reason() };
    let away = [
        not_migrated(Some(&away)),
        from_ledger(LedgerError::Unavailable { reason: reason() }),
        from_ledger(given_up),
    ];
    for error in away {
        assert_eq!(error.unavailable.unwrap().dependency, POSTGRES);
    }
}

#[test]
fn a_taken_value_is_told_by_the_path_of_its_field() {
    let path = |field| {
        from_store(&StoreError::AlreadyExists { field, value: "x".into() }).violations[0].field.clone()
    };
    assert_eq!(path("id"), "tenant_id");
    assert_eq!(path("phone"), "tenant.phone");
}
