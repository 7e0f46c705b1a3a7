//! Versions of WhatsApp Web's page and of the library that drives it: their content, who is to have which, and what a browser that
//! starts is to be given.

use roost_model::ids::TenantId;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;

use crate::{Requester, Store, StoreError};

/// What a version is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type, Serialize, Deserialize)]
#[sqlx(type_name = "version_kind", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VersionKind {
    /// The document of the page, in the place of the site's.
    Page,
    /// wa-js, in the place of the one that came with the node.
    Library,
}

/// Kept at most.
const VERSIONS: i64 = 100;
/// In bytes: a document of the site has 1.1 MB, the library 0.5 MB, and a call of the API has 4 MiB.
pub const CONTENT_AT_MOST: usize = 3 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    pub name: String,
    pub kind: VersionKind,
    /// At most [`CONTENT_AT_MOST`].
    pub content: String,
    /// From then on WhatsApp may turn it away.
    pub expires_at: Option<OffsetDateTime>,
}

/// One that is kept, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub name: String,
    pub kind: VersionKind,
    pub bytes: u64,
    pub expires_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    /// Every tenant that has none of its own is given it.
    pub is_the_fleets: bool,
    /// Those that have it of their own.
    pub tenants: u64,
}

/// What a browser is to be given: a content by its number, which never is another's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct VersionRef {
    pub id: i64,
    pub name: String,
}

/// What a tenant's browser is to be given; none: what the site gives, and what came with the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ChosenVersions {
    pub page: Option<VersionRef>,
    pub library: Option<VersionRef>,
}

impl Store {
    pub async fn create_version(&self, new: &NewVersion, by: &Requester) -> Result<Version, StoreError> {
        let (created_by, _) = by.columns();
        let query = sqlx::query!(
            r#"with made as (
                insert into versions (name, kind, content, expires_at, created_by)
                select $1, $2, $3, $4, $5 where (select count(*) from versions) < $6
                on conflict (name) do nothing returning id
            )
            select exists(select from made) as "is_made!", exists(select from versions where name = $1) as "is_taken!""#,
            new.name,
            new.kind as VersionKind,
            new.content,
            new.expires_at,
            created_by,
            VERSIONS,
        );
        let kept = self.one("keep a version", query).await?;
        if kept.is_taken {
            return Err(StoreError::VersionTaken { name: new.name.clone() });
        }
        if !kept.is_made {
            return Err(StoreError::TooManyVersions { most: VERSIONS });
        }
        self.get_version(&new.name).await
    }

    pub async fn get_version(&self, name: &str) -> Result<Version, StoreError> {
        let found = self.versions_named(Some(name)).await?.pop();
        found.ok_or_else(|| StoreError::NotFound { kind: "version", id: name.to_owned() })
    }

    /// Newest first. There are few, for their contents are large.
    pub async fn list_versions(&self) -> Result<Vec<Version>, StoreError> {
        self.versions_named(None).await
    }

    async fn versions_named(&self, name: Option<&str>) -> Result<Vec<Version>, StoreError> {
        let query = sqlx::query!(
            r#"select v.name, v.kind as "kind: VersionKind", octet_length(v.content) as "bytes!", v.expires_at, v.created_at,
                v.created_by, v.name = any (array[p.page_version, p.library_version]) is true as "is_the_fleets!",
                case v.kind
                    when 'PAGE' then (
                        select count(*) from tenants where browser ->> 'page_version' = v.name and browser ? 'page_version')
                    else (
                        select count(*) from tenants where browser ->> 'library_version' = v.name and browser ? 'library_version')
                end as "tenants!"
            from versions v, cluster_policy p where $1::text is null or v.name = $1 order by v.id desc"#,
            name,
        );
        let rows = self.all("list the versions", query).await?;
        let versions = rows.into_iter().map(|row| Version {
            name: row.name,
            kind: row.kind,
            bytes: row.bytes.unsigned_abs().into(),
            expires_at: row.expires_at,
            created_at: row.created_at,
            created_by: row.created_by,
            is_the_fleets: row.is_the_fleets,
            tenants: row.tenants.unsigned_abs(),
        });
        Ok(versions.collect())
    }

    /// [`StoreError::VersionInUse`] while the fleet, a tenant or a rollout that runs has it.
    pub async fn delete_version(&self, name: &str) -> Result<(), StoreError> {
        let query = sqlx::query!("delete from versions where name = $1 returning id", name);
        match self.maybe("delete a version", query).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(StoreError::NotFound { kind: "version", id: name.to_owned() }),
            Err(error) if error.is_foreign_key_violation() => {
                Err(StoreError::VersionInUse { name: name.to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a version of this kind the fleet's, or none. `false` when it was so already. Browsers that run go on with what they have.
    pub async fn pin_version(
        &self,
        kind: VersionKind,
        name: Option<&str>,
        by: &Requester,
    ) -> Result<bool, StoreError> {
        if let Some(name) = name {
            let known = self.versions_named(Some(name)).await?;
            if !known.iter().any(|version| version.kind == kind) {
                return Err(StoreError::NotFound { kind: kind.noun(), id: name.to_owned() });
            }
        }
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select page_version, library_version from cluster_policy for no key update
            ), changed as (
                update cluster_policy c set
                    page_version = case when $1::version_kind = 'PAGE' then $2 else c.page_version end,
                    library_version = case when $1::version_kind = 'LIBRARY' then $2 else c.library_version end
                from policy_lock
                where $2 is distinct from case $1::version_kind when 'PAGE' then policy_lock.page_version else policy_lock.library_version end
                returning c.singleton
            ), logged as (
                insert into cluster_events (kind, text, requested_by, reason)
                select 'VERSION_PINNED', case
                    when $2::text is null then format('the fleet has no %s version of its own any more', lower($1::text))
                    else format('the %s version of the fleet is %s', lower($1::text), $2) end, $3, $4
                from changed
            )
            select exists(select from changed) as "changed!""#,
            kind as VersionKind,
            name,
            requested_by,
            reason,
        );
        match self.one("pin a version", query).await {
            Ok(row) => Ok(row.changed),
            // Deleted since it was looked at.
            Err(error) if error.is_foreign_key_violation() => {
                Err(StoreError::NotFound { kind: kind.noun(), id: name.unwrap_or_default().to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    /// What the tenant's browser is to be given now. Asked once for each start of a browser.
    pub async fn chosen_versions(&self, tenant: &TenantId) -> Result<ChosenVersions, StoreError> {
        let query = sqlx::query!(
            r#"select chosen_versions(t) as "chosen!: Json<ChosenVersions>" from tenants t where t.id = $1"#,
            tenant.as_str(),
        );
        let chosen = self.maybe("read which versions a tenant has", query).await?;
        Ok(chosen.ok_or_else(|| StoreError::no_tenant(tenant))?.chosen.0)
    }

    /// None once it is deleted.
    pub async fn version_content(&self, id: i64) -> Result<Option<String>, StoreError> {
        let query = sqlx::query!("select content from versions where id = $1", id);
        Ok(self.maybe("read a version", query).await?.map(|row| row.content))
    }
}

impl VersionKind {
    /// As it is called where it is not there.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Page => "page version",
            Self::Library => "library version",
        }
    }
}
