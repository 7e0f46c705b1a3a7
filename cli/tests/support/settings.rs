//! The scripted coordinator's updates of settings of many tenants, and their undoing.

use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::*,
};
use tonic::{Response, Status};

use super::{Answer, at};

fn update() -> Operation {
    Operation {
        id: 12,
        kind: OperationKind::Fleet as i32,
        action: WorkerAction::UpdateSettings as i32,
        state: OperationState::Running as i32,
        selector: "plan=pro".into(),
        total_tenants: 40,
        max_unavailable_percent: 100,
        requested_by: "asha".into(),
        start_time: at(0),
        ..Default::default()
    }
}

/// What of an update the script knows: numbers of replies and labels.
fn told(settings: &Tenant, mask: Option<prost_types::FieldMask>) -> Vec<SettingValue> {
    let paths = mask.unwrap_or_default().paths;
    let told = |path: String| {
        let value = match path.split_once('.') {
            Some(("labels", name)) => settings.labels.get(name).cloned().unwrap_or_default(),
            _ if path == "reply_limit_per_minute" => settings.reply_limit_per_minute().to_string(),
            _ => "...".to_owned(),
        };
        SettingValue { path, value }
    };
    paths.into_iter().map(told).collect()
}

fn from_ten(settings: Vec<SettingValue>) -> SettingsPlan {
    let field = |one: SettingValue| FieldChange { path: one.path, before: String::new(), after: one.value };
    let fields: Vec<_> = settings.into_iter().map(field).collect();
    let change = |tenant_id: &str| PlannedSettings { tenant_id: tenant_id.into(), fields: fields.clone() };
    SettingsPlan {
        changes: vec![change("duka"), change("shop")],
        changed_tenants: 37,
        unchanged_tenants: 2,
        refused: vec![WorkerFailure {
            tenant_id: "lodge".into(),
            error: "memory_request_bytes would be 300, over its memory_limit_bytes of 200".into(),
        }],
        refused_tenants: 1,
    }
}

fn left_out() -> WorkerFailure {
    let error = "changed by somebody else since: reply_limit_per_minute".into();
    WorkerFailure { tenant_id: "lodge".into(), error }
}

pub fn plan_update(request: PlanSettingsUpdateRequest) -> Answer<SettingsPlan> {
    Ok(Response::new(from_ten(told(&request.settings.unwrap_or_default(), request.update_mask))))
}

pub fn start_update(request: StartSettingsUpdateRequest) -> Answer<Operation> {
    let StartSettingsUpdateRequest { settings, update_mask, selector, max_concurrent, .. } = request;
    let settings = told(&settings.unwrap_or_default(), update_mask);
    let pauses_on_failure = request.pause_on_failure;
    Ok(Response::new(Operation { settings, selector, max_concurrent, pauses_on_failure, ..update() }))
}

pub fn plan_undo(id: i64) -> Answer<SettingsPlan> {
    known(id)?;
    let before = SettingValue { path: "reply_limit_per_minute".into(), value: "10".into() };
    let refused = vec![left_out()];
    Ok(Response::new(SettingsPlan { refused, ..from_ten(vec![before]) }))
}

pub fn start_undo(request: StartSettingsUndoRequest) -> Answer<Operation> {
    let StartSettingsUndoRequest { id: undoes, max_concurrent, .. } = request;
    known(undoes)?;
    let left_out = vec![left_out()];
    Ok(Response::new(Operation { id: 13, undoes, max_concurrent, left_out, ..update() }))
}

/// 12 is an update of settings.
fn known(id: i64) -> Result<(), Status> {
    if id == 12 {
        return Ok(());
    }
    let why = format!(
        "operation {id} is no update of settings; only those can be undone, see `roost operation list`"
    );
    Err(ApiError::new(ErrorCode::FailedPrecondition, why).about("operation", &id.to_string()).into())
}
