//! What somebody asks for who has no business here yet: that one is set up.
//!
//! ```text
//!   submit --> SUBMITTED --review--> REVIEWING --approve--> APPROVED --the phone is connected--> ACTIVE
//!                                       `--reject--> REJECTED (may be submitted again, as another one)
//! ```

use roost_model::{Texts, ids::TenantId};
use sqlx::{Connection, PgConnection, types::Json};
use time::OffsetDateTime;

use crate::{
    NewTenant, RestartMode, Store, StoreError,
    call::within,
    columns::{LanguageCode, Role, TemplateKind, optional_id, storable},
    pool::CALL_TIMEOUT,
    tenants::{creation, named_field},
};

const APPROVE: &str = "approve a setup request";

/// What the business is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
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
    pub wanted: Wanted,
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
    tenant_id_set_up: Option<String>,
}

/// What of a request is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupVerdict {
    Reviewing,
    Rejected { reason: String },
}

impl Store {
    /// Of a user who is of no business. `AlreadyExists` names `phone` when a business or another request has it, and `user` when one of his is open.
    pub async fn submit_setup_request(&self, email: &str, wanted: &Wanted) -> Result<SetupRequest, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"with submitted as (
                insert into setup_requests (user_id, display_name, phone, template, language, texts)
                select u.id, $2, $3, $4, $5, $6 from users u
                where u.email = $1 and not exists(select from memberships m where m.user_id = u.id)
                    and not exists(select from tenants t where t.phone = $3)
                returning *
            )
            select r.id, u.email, r.state as "state: SetupState", r.display_name, r.phone,
                r.template as "template: TemplateKind", r.language as "language: LanguageCode", r.texts as "texts: Json<Texts>",
                r.submitted_at, r.reviewed_at, r.reviewed_by, r.reason, r.tenant_id_set_up
            from submitted r join users u on u.id = r.user_id"#,
            email,
            &storable(&wanted.display_name),
            wanted.phone,
            TemplateKind::from(wanted.template) as TemplateKind,
            LanguageCode::from(wanted.language) as LanguageCode,
            Json(&wanted.texts) as Json<&Texts>,
        );
        let phone = || StoreError::AlreadyExists { field: "phone", value: wanted.phone.clone() };
        match self.maybe("submit a setup request", query).await {
            Ok(Some(row)) => row.try_into(),
            Ok(None) if self.is_a_member(email).await? => {
                Err(StoreError::AlreadyExists { field: "membership", value: email.to_owned() })
            }
            Ok(None) => Err(phone()),
            Err(error) => Err(match error.unique_violation() {
                Some("setup_requests_phone") => phone(),
                Some("setup_requests_open") => {
                    StoreError::AlreadyExists { field: "setup request", value: email.to_owned() }
                }
                _ => error,
            }),
        }
    }

    async fn is_a_member(&self, email: &str) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"select exists(select from memberships m join users u on u.id = m.user_id where u.email = $1) as "is!""#,
            email,
        );
        Ok(self.one("look for a membership", query).await?.is)
    }

    /// The newest of this user.
    pub async fn setup_request_of(&self, email: &str) -> Result<Option<SetupRequest>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select r.id, u.email, r.state as "state: SetupState", r.display_name, r.phone,
                r.template as "template: TemplateKind", r.language as "language: LanguageCode", r.texts as "texts: Json<Texts>",
                r.submitted_at, r.reviewed_at, r.reviewed_by, r.reason, r.tenant_id_set_up
            from setup_requests r join users u on u.id = r.user_id where u.email = $1 order by r.id desc limit 1"#,
            email,
        );
        self.maybe("look for a setup request", query).await?.map(SetupRequest::try_from).transpose()
    }

    pub async fn get_setup_request(&self, id: i64) -> Result<SetupRequest, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select r.id, u.email, r.state as "state: SetupState", r.display_name, r.phone,
                r.template as "template: TemplateKind", r.language as "language: LanguageCode", r.texts as "texts: Json<Texts>",
                r.submitted_at, r.reviewed_at, r.reviewed_by, r.reason, r.tenant_id_set_up
            from setup_requests r join users u on u.id = r.user_id where r.id = $1"#,
            id,
        );
        self.maybe("get a setup request", query).await?.ok_or_else(|| no_request(id))?.try_into()
    }

    /// Newest first, from the one before `before` on.
    pub async fn list_setup_requests(
        &self,
        state: Option<SetupState>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SetupRequest>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select r.id, u.email, r.state as "state: SetupState", r.display_name, r.phone,
                r.template as "template: TemplateKind", r.language as "language: LanguageCode", r.texts as "texts: Json<Texts>",
                r.submitted_at, r.reviewed_at, r.reviewed_by, r.reason, r.tenant_id_set_up
            from setup_requests r join users u on u.id = r.user_id
            where r.id < $1 and ($2::setup_request_state is null or r.state = $2) order by r.id desc limit $3"#,
            before.unwrap_or(i64::MAX),
            state as Option<SetupState>,
            i64::from(limit),
        );
        self.all("list the setup requests", query).await?.into_iter().map(SetupRequest::try_from).collect()
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
        let judged = self.maybe("judge a setup request", query).await?;
        let now = self.get_setup_request(id).await?;
        judged.map(|_| now.clone()).ok_or(StoreError::SetupRequestClosed { id, state: now.state })
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
        let now = self.get_setup_request(id).await?;
        if approved { Ok(now) } else { Err(StoreError::SetupRequestClosed { id, state: now.state }) }
    }
}

/// False: it is not open.
async fn approve(connection: &mut PgConnection, id: i64, new: &NewTenant, by: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // The tenant's rows first, as everywhere.
    creation(new).fetch_one(&mut *transaction).await?;
    let query = sqlx::query!(
        r#"with approved as (
            update setup_requests set state = 'APPROVED', reviewed_at = now(), reviewed_by = $3, tenant_id_set_up = $2
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

fn no_request(id: i64) -> StoreError {
    StoreError::NotFound { kind: "setup request", id: id.to_string() }
}

impl TryFrom<Row> for SetupRequest {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            email: row.email,
            state: row.state,
            wanted: Wanted {
                display_name: row.display_name,
                phone: row.phone,
                template: row.template.into(),
                language: row.language.into(),
                texts: row.texts.0,
            },
            submitted_at: row.submitted_at,
            reviewed: row.reviewed_at.zip(row.reviewed_by),
            reason: row.reason,
            tenant: optional_id(row.tenant_id_set_up.as_deref(), |id| TenantId::new(id))?,
        })
    }
}
