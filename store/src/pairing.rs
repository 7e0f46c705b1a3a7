//! Codes that are typed on the phone: a caller asks, the owner of the worker has its page ask WhatsApp, and the caller takes the
//! answer away. It is told once, and kept by nobody.

use std::time::Duration;

use roost_model::ids::TenantId;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Fence, Store, StoreError, columns::storable};

/// A caller that has waited for longer does not any more.
pub(crate) const ASKED_WITHIN: Duration = Duration::from_secs(60);
/// Codes of one tenant that are asked for in an hour: WhatsApp bars numbers for which it is asked too often.
const AN_HOUR: i32 = 3;
/// What nobody has taken away by then is swept away.
const LEFT_FOR: Duration = Duration::from_secs(600);

/// What the owner is to ask its page for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingOrder {
    pub id: Uuid,
    /// The digits of the phone's number.
    pub phone: String,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq)]
pub enum PairingAnswer {
    Code { text: String, expires_at: OffsetDateTime },
    Refused { reason: String },
}

/// How far a wish for a code has come.
pub enum PairingProgress {
    Waiting,
    Answered(PairingAnswer),
    /// Another one has taken its place, or the tenant is gone.
    Gone,
}

impl Store {
    /// Asks the owner for a code, in the place of whoever asked before: three times an hour at most.
    pub async fn request_pairing(&self, id: &TenantId, order: &PairingOrder) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with lately as materialized (
                select coalesce(array_agg(at order by at), '{}') as times
                from pairing_quotas, unnest(asked) at where tenant_id = $1 and at > now() - interval '1 hour'
            ), counted as (
                insert into pairing_quotas (tenant_id, asked)
                select tenant_id, times || now() from worker_processes, lately
                where tenant_id = $1 and cardinality(times) < $4
                on conflict (tenant_id) do update set asked = excluded.asked
                returning tenant_id
            ), asked as (
                update worker_processes set spec_revision = nextval('spec_revisions'), updated_at = now()
                where tenant_id = (select tenant_id from counted)
                returning tenant_id
            ), request as (
                insert into pairing_requests (tenant_id, id, phone) select tenant_id, $2, $3 from asked
                on conflict (tenant_id) do update set
                    id = excluded.id, phone = excluded.phone, asked_at = now(), code = null, expires_at = null,
                    refusal = null
            )
            select exists(select from asked) as "asked!", times[1] + interval '1 hour' as again_at from lately"#,
            id.as_str(),
            order.id,
            order.phone,
            AN_HOUR,
        );
        let row = self.one("ask for a code to type", query).await?;
        match (row.asked, row.again_at) {
            (true, _) => Ok(()),
            (false, Some(again_at)) => {
                Err(StoreError::TooManyPairingCodes { tenant: id.clone(), most: AN_HOUR, again_at })
            }
            (false, None) => Err(StoreError::no_tenant(id)),
        }
    }

    /// The owner has the answer. Nothing is kept of it if nobody waits for it any more.
    pub async fn answer_pairing(
        &self,
        fence: &Fence,
        order: Uuid,
        answer: &PairingAnswer,
    ) -> Result<(), StoreError> {
        let (code, expires_at, refusal) = match answer {
            PairingAnswer::Code { text, expires_at } => (Some(storable(text)), Some(*expires_at), None),
            PairingAnswer::Refused { reason } => (None, None, Some(storable(reason))),
        };
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), answered as (
                update pairing_requests p set code = $4, expires_at = $5, refusal = $6
                from owner where p.tenant_id = owner.tenant_id and p.id = $3
                    and p.asked_at > now() - make_interval(secs => $7)
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            order,
            code.as_deref(),
            expires_at,
            refusal.as_deref(),
            ASKED_WITHIN.as_secs_f64(),
        );
        fence.check(self.one("answer with a code to type", query).await?.owns)
    }

    /// Takes the answer away, if it is there.
    pub async fn take_pairing(&self, id: &TenantId, order: Uuid) -> Result<PairingProgress, StoreError> {
        let query = sqlx::query!(
            r#"with taken as (
                delete from pairing_requests
                where tenant_id = $1 and id = $2 and (code is not null or refusal is not null)
                returning code, expires_at, refusal
            )
            select exists(select from pairing_requests where tenant_id = $1 and id = $2) as "was_there!",
                taken.code as "code?", taken.expires_at as "expires_at?", taken.refusal as "refusal?"
            from (select) as once left join taken on true"#,
            id.as_str(),
            order,
        );
        let row = self.one("take a code to type", query).await?;
        Ok(match (row.code.zip(row.expires_at), row.refusal) {
            (Some((text, expires_at)), _) => {
                PairingProgress::Answered(PairingAnswer::Code { text, expires_at })
            }
            (None, Some(reason)) => PairingProgress::Answered(PairingAnswer::Refused { reason }),
            (None, None) if row.was_there => PairingProgress::Waiting,
            (None, None) => PairingProgress::Gone,
        })
    }

    /// Nobody waits for the answer any more.
    pub async fn withdraw_pairing(&self, id: &TenantId, order: Uuid) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"delete from pairing_requests where tenant_id = $1 and id = $2 returning id"#,
            id.as_str(),
            order,
        );
        self.maybe("withdraw the wish for a code", query).await.map(drop)
    }

    /// Those whose caller went away without a word. There are none otherwise.
    pub(crate) async fn sweep_pairings(&self) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"delete from pairing_requests where tenant_id in (
                select tenant_id from pairing_requests where asked_at < now() - make_interval(secs => $1)
                for update skip locked)
            returning tenant_id"#,
            LEFT_FOR.as_secs_f64(),
        );
        self.all("sweep away codes that nobody has taken", query).await.map(drop)
    }
}
