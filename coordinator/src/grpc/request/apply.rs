//! Declared tenants as they come in.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::{Proxy, ProxyPlace, ids::TenantId};
use roost_proto::{
    error::{ApiError, Violation},
    v1,
};
use roost_store::{Apply, DesiredState, Requester, TenantDeclaration, TenantPatch};
use uuid::Uuid;

use super::{Checks, Text, tenant_patch};

/// Of one request, in one transaction.
const MOST_TENANTS: usize = 200;
const APPLY_ID: Text = Text::line(0, 64);

/// A valid apply and who orders it, or all that is wrong with it.
pub fn apply(request: v1::ApplyTenantsRequest) -> Result<(Apply, Requester), ApiError> {
    let mut checks = Checks::default();
    let id = checks.text("apply_id", &APPLY_ID, request.apply_id);
    let by = checks.by(request.requested_by, request.reason);
    let count = request.declarations.len() + request.delete_ids.len();
    if count > MOST_TENANTS {
        let why = format!("with delete_ids they are {count} tenants, at most {MOST_TENANTS} are allowed");
        checks.take::<()>("declarations", Err(why));
        return Err(checks.refusal());
    }
    let mut seen = Seen::default();
    let mut declarations = Vec::with_capacity(request.declarations.len());
    for (index, given) in request.declarations.into_iter().enumerate() {
        let at = format!("declarations[{index}]");
        let declared = checks.declaration(&at, given);
        declarations.extend(declared.filter(|declared| seen.is_first(&mut checks, &at, declared)));
    }
    let deletions = request.delete_ids.iter().enumerate().filter_map(|(index, given)| {
        let field = format!("delete_ids[{index}]");
        let id = checks.tenant_id(&field, given)?;
        checks.take(&field, seen.note_id(&id, &field)).map(|()| id)
    });
    let deletions: Vec<_> = deletions.collect();
    let (Some(id), Some(by), true) = (id, by, checks.passed()) else { return Err(checks.refusal()) };
    let id = if id.is_empty() { Uuid::now_v7().to_string() } else { id };
    Ok((Apply { id, declarations, deletions, validate_only: request.validate_only }, by))
}

/// What is unique in a request, with where it stands.
#[derive(Default)]
struct Seen {
    ids: BTreeMap<TenantId, String>,
    phones: BTreeMap<String, String>,
}

impl Seen {
    fn is_first(&mut self, checks: &mut Checks, at: &str, declared: &TenantDeclaration) -> bool {
        let id = self.note_id(&declared.id, at);
        let is_new = checks.take(&format!("{at}.tenant.id"), id).is_some();
        let Some(phone) = &declared.values.phone else { return is_new };
        let first = self.phones.entry(phone.clone()).or_insert_with(|| at.to_owned());
        let once = if first == at { Ok(()) } else { Err(format!("{phone} is the phone of {first}, too")) };
        checks.take(&format!("{at}.tenant.phone"), once).is_some() && is_new
    }

    fn note_id(&mut self, id: &TenantId, at: &str) -> Result<(), String> {
        match self.ids.insert(id.clone(), at.to_owned()) {
            Some(first) => Err(format!("{:?} is named by {first}, too", id.as_str())),
            None => Ok(()),
        }
    }
}

impl Checks {
    fn declaration(&mut self, at: &str, given: v1::TenantDeclaration) -> Option<TenantDeclaration> {
        let desired = self.optional_enum(&format!("{at}.desired_state"), given.desired_state);
        let fields: BTreeSet<String> = given.fields.unwrap_or_default().paths.into_iter().collect();
        for whole in ["*", "labels", "metadata"].into_iter().filter(|whole| fields.contains(*whole)) {
            let why = format!(
                "{whole:?} is not declared as a whole; name each field, and each entry as labels.NAME"
            );
            self.take::<()>(&format!("{at}.fields"), Err(why));
        }
        let mut tenant = given.tenant;
        let kept_proxy = match fields.contains("proxy") {
            true => tenant.as_mut().and_then(kept_proxy),
            false => None,
        };
        let (id, mut values) = self.values(at, tenant, &fields)?;
        if kept_proxy.is_some() {
            values.proxy = None;
        }
        let desired = match desired? {
            Some(v1::DesiredState::Running) => Some(DesiredState::Running),
            Some(v1::DesiredState::Stopped) => Some(DesiredState::Stopped),
            Some(v1::DesiredState::Unspecified) | None => None,
        };
        Some(TenantDeclaration { id, values, fields, kept_proxy, desired })
    }

    /// The declared fields, checked as those of an update are.
    fn values(
        &mut self,
        at: &str,
        tenant: Option<v1::Tenant>,
        fields: &BTreeSet<String>,
    ) -> Option<(TenantId, TenantPatch)> {
        let tenant = self.take(&format!("{at}.tenant"), tenant.ok_or_else(|| "is required".to_owned()))?;
        if fields.is_empty() {
            let id = self.tenant_id(&format!("{at}.tenant.id"), &tenant.id)?;
            return Some((id, TenantPatch::default()));
        }
        let paths = fields.iter().cloned().collect();
        let update_mask = Some(prost_types::FieldMask { paths });
        match tenant_patch(v1::UpdateTenantRequest { tenant: Some(tenant), update_mask }) {
            Ok(checked) => Some(checked),
            Err(refusal) => {
                for Violation { field, description } in refusal.violations {
                    let field = if field == "update_mask" { "fields" } else { &field };
                    self.take::<()>(&format!("{at}.{field}"), Err(description));
                }
                None
            }
        }
    }
}

/// The proxy of which the credentials are not told and to be kept, as an export has it; it is taken out. One that is no address is left in,
/// and refused as any is.
fn kept_proxy(tenant: &mut v1::Tenant) -> Option<ProxyPlace> {
    let given = tenant.proxy.as_ref().filter(|proxy| proxy.has_credentials)?;
    let proxy = given.url.parse::<Proxy>().ok().filter(|proxy| proxy.login.is_none())?;
    tenant.proxy = None;
    Some(proxy.place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(id: &str, phone: &str, paths: &[&str]) -> v1::TenantDeclaration {
        let tenant = v1::Tenant {
            id: id.into(),
            display_name: "Duka".into(),
            phone: phone.into(),
            ..Default::default()
        };
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let fields = Some(prost_types::FieldMask { paths });
        v1::TenantDeclaration { tenant: Some(tenant), fields, desired_state: 0 }
    }

    fn fields(declarations: Vec<v1::TenantDeclaration>, delete_ids: &[&str]) -> Vec<String> {
        let delete_ids = delete_ids.iter().map(|id| (*id).to_owned()).collect();
        let request = v1::ApplyTenantsRequest { declarations, delete_ids, ..Default::default() };
        let refusal = apply(request).unwrap_err();
        refusal.violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn what_is_wrong_is_named_by_declaration_and_field() {
        let given = vec![
            declared("duka", "0700", &["display_name", "phone"]),
            declared("Soko", "", &["display_name"]),
            declared("mto", "", &["status"]),
            declared("kisiwa", "", &["labels", "display_name"]),
            v1::TenantDeclaration::default(),
        ];
        assert_eq!(
            fields(given, &["No"]),
            [
                "declarations[0].tenant.phone",
                "declarations[1].tenant.id",
                "declarations[2].fields",
                "declarations[3].fields",
                "declarations[4].tenant",
                "delete_ids[0]"
            ]
        );
    }

    #[test]
    fn a_proxy_that_is_told_without_its_credentials_is_the_one_that_there_is() {
        let with = |url: &str, has_credentials| {
            let mut declared = declared("duka", "", &["proxy"]);
            let proxy = v1::Proxy { url: url.into(), has_credentials };
            declared.tenant.as_mut().unwrap().proxy = Some(proxy);
            v1::ApplyTenantsRequest { declarations: vec![declared], ..Default::default() }
        };
        let taken = |request| {
            let declared = apply(request).unwrap().0.declarations.remove(0);
            (declared.kept_proxy.map(|place| place.to_string()), declared.values.proxy)
        };
        let place = "http://proxy.example:3128";
        assert_eq!(taken(with(place, true)), (Some(place.to_owned()), None));
        assert_eq!(taken(with(place, false)), (None, Some(Some(place.parse().unwrap()))));
        let whole = "http://asha:sesame@proxy.example:3128";
        assert_eq!(taken(with(whole, true)), (None, Some(Some(whole.parse().unwrap()))));
        assert_eq!(
            fields(with("proxy.example", true).declarations, &[]),
            ["declarations[0].tenant.proxy.url"]
        );
    }

    #[test]
    fn no_tenant_and_no_phone_is_named_twice() {
        let given = vec![
            declared("duka", "+255700000001", &["phone"]),
            declared("duka", "+255700000002", &["phone"]),
            declared("soko", "+255700000001", &["phone"]),
        ];
        let expected = ["declarations[1].tenant.id", "declarations[2].tenant.phone", "delete_ids[0]"];
        assert_eq!(fields(given, &["soko"]), expected);
    }

    #[test]
    fn a_request_has_at_most_two_hundred_tenants() {
        let some = |count: u32| (0..count).map(|n| declared(&format!("t{n}"), "", &[])).collect::<Vec<_>>();
        assert_eq!(fields(some(200), &["one-more"]), ["declarations"]);
        let request = v1::ApplyTenantsRequest { declarations: some(200), ..Default::default() };
        let (apply, by) = apply(request).unwrap();
        assert_eq!((apply.declarations.len(), apply.id.len(), by.name.as_str()), (200, 36, "admin"));
    }
}
