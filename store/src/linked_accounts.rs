//! Whose account is linked, as its page tells it when it connects.

use time::OffsetDateTime;

use crate::{Fence, Store, StoreError, columns::storable};

/// So many characters of what the phone's owner calls the account are kept, and of what the phone calls its system.
const NAME_CHARS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedAccount {
    /// Its digits.
    pub number: String,
    pub push_name: String,
    /// Such as `android` or `iphone`.
    pub platform: String,
    pub linked_at: OffsetDateTime,
}

impl LinkedAccount {
    /// All are set or none; but for the time, which may be known of one whose page has not told yet.
    pub(crate) fn from_columns(
        number: Option<String>,
        push_name: Option<String>,
        platform: Option<String>,
        linked_at: Option<OffsetDateTime>,
    ) -> Option<Self> {
        Some(Self { number: number?, push_name: push_name?, platform: platform?, linked_at: linked_at? })
    }
}

impl Store {
    /// A page has told. Writes nothing where that is known already; another number is another link.
    pub async fn record_account(
        &self,
        fence: &Fence,
        number: &str,
        push_name: &str,
        platform: &str,
    ) -> Result<(), StoreError> {
        let cut = |text: &str| storable(text).chars().take(NAME_CHARS).collect::<String>();
        let (push_name, platform) = (cut(push_name), cut(platform));
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), session as (
                update whatsapp_sessions s set
                    account_number = $3, account_push_name = $4, account_platform = $5,
                    account_linked_at = case
                        when coalesce(s.account_number, $3) = $3 then coalesce(s.account_linked_at, now()) else now() end,
                    updated_at = now()
                from owner where s.tenant_id = owner.tenant_id
                    and (s.account_number, s.account_push_name, s.account_platform) is distinct from ($3, $4, $5)
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            number,
            push_name,
            platform,
        );
        fence.check(self.one("record the linked account", query).await?.owns)
    }
}
