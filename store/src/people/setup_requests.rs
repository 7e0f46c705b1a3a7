//! What somebody asks for in the portal: that a business is set up.
//!
//! ```text
//!   submit --> SUBMITTED --review--> REVIEWING --approve--> APPROVED --the phone is connected--> ACTIVE
//!                                       `--reject--> REJECTED (may be submitted again, as another one)
//! ```

use std::time::Duration;

use roost_model::{Texts, ids::TenantId};
use sqlx::{Connection, PgConnection, types::Json};
use time::OffsetDateTime;

use super::invitations::INVITATIONS;
use crate::{
    NewTenant, RestartMode, Store, StoreError, TokenDigest,
    call::within,
    columns::{LanguageCode, Role, TemplateKind, optional_id, storable},
    pool::CALL_TIMEOUT,
    tenants::{creation, named_field},
};

const APPROVE: &str = "approve a setup request";
/// That one user may submit within a day.
const A_DAY: i64 = 10;

/// What the business is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedBusiness {
    pub display_name: String,
    pub phone: String,
    pub template: roost_model::TemplateKind,
    pub language: roost_model::LanguageCode,
    pub texts: Texts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupRequest {
    pub id: i64,
    pub email: String,
    pub state: SetupState,
    pub wanted: WantedBusiness,
    pub submitted_at: OffsetDateTime,
    /// When and by whom it was last looked at, approved or rejected.
    pub reviewed: Option<(OffsetDateTime, String)>,
    /// Why it was rejected.
    pub reason: String,
    /// The business that was set up.
    pub tenant: Option<TenantId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "setup_request_state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SetupState {
    Submitted,
    Reviewing,
    Approved,
    Active,
    Rejected,
}

impl SetupState {
    /// Somebody has yet to decide about it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Submitted | Self::Reviewing)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Reviewing => "REVIEWING",
            Self::Approved => "APPROVED",
            Self::Active => "ACTIVE",
            Self::Rejected => "REJECTED",
        }
    }
}

/// What becomes of one that is not approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupVerdict {
    Reviewing,
    Rejected { reason: String },
}

impl Store {
    /// A link by which somebody comes in who is to ask. One that stands for the same address is worthless from now on.
    pub async fn invite_applicant(
        &self,
        email: &str,
        by: &str,
        link: &TokenDigest,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with lapsed as (
                delete from invitations where tenant_id is null and expires_at <= now() and email <> $2
            )
            insert into invitations (digest, email, created_by, expires_at)
            select $1, $2, $3, now() + make_interval(secs => $4)
            where (select count(*) from invitations where tenant_id is null and email <> $2 and expires_at > now()) < $5
            on conflict on constraint invitations_one do update set
                digest = excluded.digest, created_at = now(), created_by = excluded.created_by, expires_at = excluded.expires_at
            returning email"#,
            &link[..],
            email,
            &storable(by),
            lifetime.as_secs_f64(),
            INVITATIONS,
        );
        let made = self.maybe("invite somebody to ask for a business", query).await?;
        made.map(drop).ok_or(StoreError::TooManyInvitations { most: INVITATIONS })
    }

    /// `AlreadyExists` names `phone` when a business or another request has it, and `setup request` when one of this user's is open.
    pub async fn submit_setup_request(
        &self,
        email: &str,
        wanted: &WantedBusiness,
    ) -> Result<SetupRequest, StoreError> {
        let query = sqlx::query!(
            r#"with person as (
                select u.id, (
                    select count(*) from setup_requests r where r.user_id = u.id and r.submitted_at > now() - interval '1 day'
                ) as today
                from users u where u.email = $1
            ), submitted as (
                insert into setup_requests (user_id, display_name, phone, template, language, texts)
                select id, $2, $3, $4, $5, $6 from person
                where today < $7 and not exists(select from tenants t where t.phone = $3)
                returning id
            )
            select today >= $7 as "too_many!", (select id from submitted) as "id?" from person"#,
            email,
            &storable(&wanted.display_name),
            wanted.phone,
            TemplateKind::from(wanted.template) as TemplateKind,
            LanguageCode::from(wanted.language) as LanguageCode,
            Json(&wanted.texts) as Json<&Texts>,
            A_DAY,
        );
        let taken = || StoreError::AlreadyExists { field: "phone", value: wanted.phone.clone() };
        let submitted = self.maybe("submit a setup request", query).await.map_err(|error| {
            match error.unique_violation() {
                Some("setup_requests_phone") => taken(),
                Some("setup_requests_open") => {
                    StoreError::AlreadyExists { field: "setup request", value: email.to_owned() }
                }
                _ => error,
            }
        })?;
        let no_user = || StoreError::NotFound { kind: "user", id: email.to_owned() };
        let submitted = submitted.ok_or_else(no_user)?;
        match submitted.id {
            Some(id) => self.get_setup_request(id).await,
            None if submitted.too_many => Err(StoreError::TooManySetupRequests { most: A_DAY }),
            None => Err(taken()),
        }
    }

    /// The newest of this user.
    pub async fn setup_request_of(&self, email: &str) -> Result<Option<SetupRequest>, StoreError> {
        let query = sqlx::query!(
            "select r.id from setup_requests r join users u on u.id = r.user_id where u.email = $1 order by r.id desc limit 1",
            email,
        );
        let newest = self.maybe("look for a setup request", query).await?;
        Ok(self.setup_requests(newest.map(|row| row.id).as_slice()).await?.pop())
    }

    pub async fn get_setup_request(&self, id: i64) -> Result<SetupRequest, StoreError> {
        let none = || StoreError::NotFound { kind: "setup request", id: id.to_string() };
        self.setup_requests(&[id]).await?.pop().ok_or_else(none)
    }

    /// Newest first, from the one before `before` on.
    pub async fn list_setup_requests(
        &self,
        state: Option<SetupState>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SetupRequest>, StoreError> {
        let query = sqlx::query!(
            r#"select id from setup_requests
            where id < $1 and ($2::setup_request_state is null or state = $2) order by id desc limit $3"#,
            before.unwrap_or(i64::MAX),
            state as Option<SetupState>,
            i64::from(limit),
        );
        let ids = self.all("list the setup requests", query).await?;
        self.setup_requests(&ids.into_iter().map(|row| row.id).collect::<Vec<_>>()).await
    }

    /// Newest first.
    async fn setup_requests(&self, ids: &[i64]) -> Result<Vec<SetupRequest>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as!(
            Row,
            r#"select r.id, u.email, r.state as "state: SetupState", r.display_name, r.phone,
                r.template as "template: TemplateKind", r.language as "language: LanguageCode", r.texts as "texts: Json<Texts>",
                r.submitted_at, r.reviewed_at, r.reviewed_by, r.reason, r.tenant_id
            from setup_requests r join users u on u.id = r.user_id where r.id = any($1) order by r.id desc"#,
            ids,
        );
        self.all("read setup requests", query).await?.into_iter().map(SetupRequest::try_from).collect()
    }

    /// Of one that is open; what it is then.
    pub async fn judge_setup_request(
        &self,
        id: i64,
        verdict: &SetupVerdict,
        by: &str,
    ) -> Result<SetupRequest, StoreError> {
        let (state, reason) = match verdict {
            SetupVerdict::Reviewing => (SetupState::Reviewing, ""),
            SetupVerdict::Rejected { reason } => (SetupState::Rejected, reason.as_str()),
        };
        let query = sqlx::query!(
            r#"update setup_requests set state = $2, reason = $3, reviewed_at = now(), reviewed_by = $4
            where id = $1 and state in ('SUBMITTED', 'REVIEWING') returning id"#,
            id,
            state as SetupState,
            &storable(reason),
            &storable(by),
        );
        let judged = self.maybe("judge a setup request", query).await?.is_some();
        self.decided(id, judged).await
    }

    /// Makes the business, whoever asked for it its owner, and has its worker started: all of it or nothing.
    pub async fn approve_setup_request(
        &self,
        id: i64,
        new: &NewTenant,
        by: &str,
    ) -> Result<SetupRequest, StoreError> {
        self.met().await?;
        let approved = within(CALL_TIMEOUT, APPROVE, async {
            let mut lease = self.lease().await?;
            let answer = approve(lease.connection(), id, new, by).await;
            lease.settle(answer)
        })
        .await;
        let approved = approved.map_err(|error| named_field(error, new.id.as_str(), &new.phone))?;
        self.decided(id, approved).await
    }

    async fn decided(&self, id: i64, by_this: bool) -> Result<SetupRequest, StoreError> {
        let now = self.get_setup_request(id).await?;
        if by_this { Ok(now) } else { Err(StoreError::SetupRequestClosed { id, state: now.state.as_str() }) }
    }
}

/// False: it is not open.
async fn approve(
    connection: &mut PgConnection,
    id: i64,
    new: &NewTenant,
    by: &str,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // The tenant's rows first, as everywhere.
    creation(new).fetch_one(&mut *transaction).await?;
    let query = sqlx::query!(
        r#"with approved as (
            update setup_requests set state = 'APPROVED', reviewed_at = now(), reviewed_by = $3, tenant_id = $2
            where id = $1 and state in ('SUBMITTED', 'REVIEWING') returning user_id
        )
        insert into memberships (user_id, tenant_id, role, invited_by) select user_id, $2, $4, $3 from approved
        returning user_id"#,
        id,
        new.id.as_str(),
        &*storable(by),
        Role::from(roost_model::Role::Owner) as Role,
    );
    if query.fetch_optional(&mut *transaction).await?.is_none() {
        transaction.rollback().await?;
        return Ok(false);
    }
    let query = sqlx::query!(
        r#"select tenant_id as "tenant_id!" from ask_to_run(array[$1::text], $2, false)"#,
        new.id.as_str(),
        RestartMode::Graceful as RestartMode,
    );
    query.fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// As the columns are read.
struct Row {
    id: i64,
    email: String,
    state: SetupState,
    display_name: String,
    phone: String,
    template: TemplateKind,
    language: LanguageCode,
    texts: Json<Texts>,
    submitted_at: OffsetDateTime,
    reviewed_at: Option<OffsetDateTime>,
    reviewed_by: Option<String>,
    reason: String,
    tenant_id: Option<String>,
}

impl TryFrom<Row> for SetupRequest {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            email: row.email,
            state: row.state,
            wanted: WantedBusiness {
                display_name: row.display_name,
                phone: row.phone,
                template: row.template.into(),
                language: row.language.into(),
                texts: row.texts.0,
            },
            submitted_at: row.submitted_at,
            reviewed: row.reviewed_at.zip(row.reviewed_by),
            reason: row.reason,
            tenant: optional_id(row.tenant_id.as_deref(), TenantId::new)?,
        })
    }
}
