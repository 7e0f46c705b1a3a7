//! The demo tenants: small businesses with made-up names and numbers.

use std::time::Duration;

use roost_proto::v1::{
    BusinessTexts, CreateTenantRequest, CreateUserRequest, InviteApplicantRequest, InviteMemberRequest,
    Language, ListMembersRequest, ListTenantsRequest, Member, Role, StartWorkerRequest, StopWorkerRequest,
    Template, Tenant, UpdateTenantRequest,
};
use tonic::{Code, Status};

use super::{
    error::{DevError, Result},
    process::wait_until,
    record::TenantRecord,
};
use roost_proto::client::Admin;

/// A new database is migrated by the coordinator after it has begun to listen.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

const BUSINESSES: [(&str, Template, Language); 6] = [
    ("Safari Lodge Arusha", Template::Booking, Language::En),
    ("Duka la Mama Asha", Template::Ecommerce, Language::Sw),
    ("Kilimanjaro Solar Support", Template::Support, Language::En),
    ("Saluni ya Neema", Template::Booking, Language::Sw),
    ("Mwanza Fresh Fish", Template::Ecommerce, Language::En),
    ("Msaada wa Maji Dodoma", Template::Support, Language::Sw),
];

const DEMO: &str = "demo-";

/// Tenant `index` of a cluster, counted from 0: `demo-1` with the number +255700000001, and so on.
pub fn demo_tenant(index: usize) -> TenantRecord {
    let (business, _, _) = BUSINESSES[index % BUSINESSES.len()];
    let name = match index / BUSINESSES.len() {
        0 => business.to_owned(),
        round => format!("{business} {}", round + 1),
    };
    let number = index + 1;
    TenantRecord { id: format!("{DEMO}{number}"), name, phone: format!("+2557{number:08}") }
}

/// Waits until the coordinator answers from its database.
pub async fn served(admin: &Admin) -> Result<()> {
    let answers = || async { existing(admin).await.is_ok() };
    match wait_until("the coordinator answers", SERVED_WITHIN, answers).await {
        Ok(()) => Ok(()),
        // What it answers instead says more than that the time is over.
        Err(timed_out) => existing(admin).await.and(Err(timed_out)),
    }
}

/// Makes or updates the tenants, counted from 0, and starts their workers. Demo tenants that an earlier run had beyond
/// them are stopped: nobody holds their phones now.
pub async fn prepare_all(admin: &Admin, tenants: &[TenantRecord], echo: bool) -> Result<()> {
    for (index, record) in tenants.iter().enumerate() {
        prepare(admin, index, record, echo).await?;
    }
    let existing = existing(admin).await?;
    let left =
        existing.iter().filter(|id| id.starts_with(DEMO) && tenants.iter().all(|tenant| tenant.id != **id));
    for id in left {
        let request = StopWorkerRequest { tenant_id: id.clone() };
        admin.workers().stop_worker(request).await.map_err(DevError::call(format!("stop {id}")))?;
    }
    Ok(())
}

/// The link by which an owner of this tenant comes in, once; none when he has done so.
pub async fn invite_owner(admin: &Admin, tenant: &TenantRecord) -> Result<Option<String>> {
    let tenant_id = tenant.id.clone();
    let email = format!("owner@{tenant_id}.example");
    let failed = |what| DevError::call(format!("{what} of {tenant_id}"));
    let request = ListMembersRequest { tenant_id: tenant_id.clone(), ..Default::default() };
    let members = admin.members().list_members(request).await.map_err(failed("list the members"))?;
    let has_joined = |member: &Member| member.email == email && member.join_time.is_some();
    if members.into_inner().members.iter().any(has_joined) {
        return Ok(None);
    }
    let request = InviteMemberRequest { tenant_id: tenant_id.clone(), email, role: Role::Owner.into() };
    let invited = admin.members().invite_member(request).await.map_err(failed("invite the owner"))?;
    Ok(Some(invited.into_inner().url))
}

/// The link by which somebody comes in to ask for a business, once.
pub async fn invite_applicant(admin: &Admin) -> Result<String> {
    let request = InviteApplicantRequest { email: "newcomer@duka.example".to_owned() };
    let invited = admin.setups().invite_applicant(request).await;
    Ok(invited.map_err(DevError::call("invite somebody to ask for a business"))?.into_inner().url)
}

/// The link by which an admin of the cluster comes in, once; none when one has done so.
pub async fn invite_admin(admin: &Admin) -> Result<Option<String>> {
    let request = CreateUserRequest { email: "admin@roost.example".to_owned(), role: Role::Admin.into() };
    match admin.users().create_user(request).await {
        Ok(made) => Ok(Some(made.into_inner().url)),
        Err(status) if status.code() == Code::AlreadyExists => Ok(None),
        Err(status) => Err(DevError::call("invite an admin")(status)),
    }
}

/// Makes or updates one tenant and starts its worker. `echo` makes it answer each message with `echo: <the message>`,
/// without a limit; see the template responder's rules.
pub async fn prepare(admin: &Admin, index: usize, record: &TenantRecord, echo: bool) -> Result<()> {
    let tenant = settings(index, record, echo);
    match create(admin, tenant.clone()).await {
        Err(status) if status.code() == Code::AlreadyExists => update(admin, tenant).await,
        made => made,
    }
    .map_err(DevError::call(format!("make {}", record.id)))?;
    let request = StartWorkerRequest { tenant_id: record.id.clone() };
    let started = admin.workers().start_worker(request).await;
    started.map(drop).map_err(DevError::call(format!("start {}", record.id)))
}

async fn create(admin: &Admin, tenant: Tenant) -> std::result::Result<(), Status> {
    let request = CreateTenantRequest { tenant_id: tenant.id.clone(), tenant: Some(tenant) };
    admin.tenants().create_tenant(request).await.map(drop)
}

async fn update(admin: &Admin, tenant: Tenant) -> std::result::Result<(), Status> {
    let request = UpdateTenantRequest { tenant: Some(tenant), update_mask: Some(all_settings()) };
    admin.tenants().update_tenant(request).await.map(drop)
}

fn settings(index: usize, record: &TenantRecord, echo: bool) -> Tenant {
    let (_, template, language) = BUSINESSES[index % BUSINESSES.len()];
    let own = Tenant {
        id: record.id.clone(),
        display_name: record.name.clone(),
        phone: record.phone.clone(),
        template: template as i32,
        language: language as i32,
        texts: Some(BusinessTexts::default()),
        reply_limit_per_minute: Some(10),
        ..Tenant::default()
    };
    if !echo {
        return own;
    }
    let texts = BusinessTexts { fallback: "echo: {message}".into(), ..BusinessTexts::default() };
    Tenant { template: Template::Support as i32, texts: Some(texts), reply_limit_per_minute: Some(0), ..own }
}

fn all_settings() -> prost_types::FieldMask {
    let paths = [
        "display_name",
        "phone",
        "template",
        "language",
        "texts",
        "reply_limit_per_minute",
        "answer_within",
        "resend_policy",
        "restart_schedule",
        "qr_rotations",
    ];
    prost_types::FieldMask { paths: paths.map(str::to_owned).into() }
}

async fn existing(admin: &Admin) -> Result<Vec<String>> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListTenantsRequest { page_size: 1_000, page_token, ..ListTenantsRequest::default() };
        let page = admin
            .tenants()
            .list_tenants(request)
            .await
            .map_err(DevError::call("list the tenants"))?
            .into_inner();
        ids.extend(page.tenants.into_iter().map(|tenant| tenant.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_demo_tenant_has_a_name_and_a_number_of_its_own() {
        let tenants: Vec<_> = (0..40).map(demo_tenant).collect();
        let distinct =
            |field: fn(&TenantRecord) -> &String| tenants.iter().map(field).collect::<HashSet<_>>().len();
        assert_eq!(distinct(|tenant| &tenant.id), 40);
        assert_eq!(distinct(|tenant| &tenant.name), 40);
        assert_eq!(distinct(|tenant| &tenant.phone), 40);
        assert_eq!(tenants[0].phone, "+255700000001");
    }
}
