//! What a tenant's automation says, as it comes in to be changed or tried.

use roost_model::ids::TenantId;
use roost_proto::{error::ApiError, v1};
use roost_store::TenantPatch;

use super::{Checks, Text, tenant::settings};
use crate::app::TriedTemplate;

/// What a business may change by itself.
const PATHS: [&str; 4] = ["display_name", "template", "language", "texts"];
const MESSAGES: usize = 20;
/// Media without a caption is an empty one.
const MESSAGE: Text = Text::lines(0, 4_096);

/// Which tenant to change and how, or all that is wrong with it.
pub fn template_patch(
    request: v1::UpdateTemplateSettingsRequest,
) -> Result<(TenantId, TenantPatch), ApiError> {
    let v1::UpdateTemplateSettingsRequest { tenant, update_mask } = request;
    let mut checks = Checks::default();
    let Some(tenant) = checks.take("tenant", tenant.ok_or_else(|| "is required".to_owned())) else {
        return Err(checks.refusal());
    };
    let id = checks.tenant_id("tenant.id", &tenant.id);
    let mut mask = update_mask.unwrap_or_default();
    if mask.paths.iter().any(|path| path == "*") {
        mask.paths = PATHS.map(str::to_owned).to_vec();
    }
    if let Some(other) = mask.paths.iter().find(|path| !PATHS.contains(&path.as_str())) {
        let shown: String = other.chars().take(80).collect();
        checks.take::<()>("update_mask", Err(format!("{shown:?} is not of the template; {ONLY}")));
    }
    check_fields(&mut checks, &tenant);
    let patch = settings(&mut checks, tenant, Some(mask));
    match id {
        Some(id) if checks.passed() => Ok((id, patch)),
        _ => Err(checks.refusal()),
    }
}

const ONLY: &str = "give display_name, template, language and texts alone";

fn check_fields(checks: &mut Checks, tenant: &v1::Tenant) {
    let v1::Tenant { id, display_name, template, language, texts, .. } = tenant.clone();
    if *tenant != (v1::Tenant { id, display_name, template, language, texts, ..v1::Tenant::default() }) {
        checks.take::<()>("tenant", Err(format!("has a field that is not of the template; {ONLY}")));
    }
}

/// Of which tenant, what is tried, and what a customer writes.
pub fn preview(
    request: v1::PreviewTemplateRequest,
) -> Result<(TenantId, TriedTemplate, Vec<String>), ApiError> {
    let v1::PreviewTemplateRequest { tenant_id, tenant, messages } = request;
    let mut checks = Checks::default();
    let id = checks.tenant_id("tenant_id", &tenant_id);
    let tried = tenant.map_or_else(TriedTemplate::default, |tenant| tried(&mut checks, tenant));
    if !(1..=MESSAGES).contains(&messages.len()) {
        let why = format!("has {}, from 1 to {MESSAGES} are allowed", messages.len());
        checks.take::<()>("messages", Err(why));
        return Err(checks.refusal());
    }
    let messages = messages.into_iter().enumerate();
    let messages: Vec<_> =
        messages.map(|(at, message)| checks.text(&format!("messages[{at}]"), &MESSAGE, message)).collect();
    match (id, messages.into_iter().collect::<Option<_>>()) {
        (Some(id), Some(messages)) if checks.passed() => Ok((id, tried, messages)),
        _ => Err(checks.refusal()),
    }
}

fn tried(checks: &mut Checks, tenant: v1::Tenant) -> TriedTemplate {
    check_fields(checks, &tenant);
    if tenant == (v1::Tenant { id: tenant.id.clone(), ..v1::Tenant::default() }) {
        return TriedTemplate::default();
    }
    let TenantPatch { display_name, template, language, texts, .. } = settings(checks, tenant, None);
    TriedTemplate { display_name, template, language, texts }
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;

    fn asked(tenant: v1::Tenant, paths: &[&str]) -> Result<TenantPatch, Vec<String>> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let tenant = Some(v1::Tenant { id: "asha".into(), ..tenant });
        let request = v1::UpdateTemplateSettingsRequest { tenant, update_mask: Some(FieldMask { paths }) };
        let fields = |error: ApiError| error.violations.into_iter().map(|it| it.field).collect();
        template_patch(request).map(|(_, patch)| patch).map_err(fields)
    }

    #[test]
    fn only_what_is_said_is_changed() {
        let named = v1::Tenant { display_name: "Duka".into(), ..Default::default() };
        let patch = asked(named.clone(), &[]).unwrap();
        assert_eq!((patch.display_name.as_deref(), patch.texts), (Some("Duka"), None));
        let all = asked(named.clone(), &["*"]).unwrap();
        assert!(all.texts.is_some() && all.template.is_some() && all.phone.is_none() && all.proxy.is_none());
        for path in ["phone", "proxy", "reply_limit_per_minute", "labels.plan", "nothing"] {
            assert!(asked(named.clone(), &[path]).unwrap_err().contains(&"update_mask".to_owned()), "{path}");
        }
        let with_limit = v1::Tenant { reply_limit_per_minute: Some(0), ..named };
        assert_eq!(asked(with_limit, &["display_name"]).unwrap_err(), ["tenant"]);
    }

    #[test]
    fn a_preview_is_bounded_and_takes_what_is_tried() {
        let request = |messages: Vec<&str>| v1::PreviewTemplateRequest {
            tenant_id: "asha".into(),
            tenant: None,
            messages: messages.into_iter().map(str::to_owned).collect(),
        };
        assert_eq!(preview(request(vec!["", "1"])).unwrap().1, TriedTemplate::default());
        let tried = v1::Tenant { language: v1::Language::Sw.into(), ..Default::default() };
        let one = v1::PreviewTemplateRequest { tenant: Some(tried), ..request(vec!["x"]) };
        let (_, tried, _) = preview(one).unwrap();
        assert_eq!((tried.language, tried.template), (Some(roost_model::LanguageCode::Sw), None));
        for refused in [vec![], vec!["x"; 21], vec!["a\0b"]] {
            assert!(preview(request(refused.clone())).is_err(), "{refused:?}");
        }
    }
}
