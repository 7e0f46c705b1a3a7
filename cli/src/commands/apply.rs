//! `roost apply`
//!
//! ```text
//!   read the files ──► plan: every batch, validate_only ──► consent to deletions ──► every batch that changes something
//!   (all errors)       (all errors, again)
//! ```
//!
//! A batch is done as a whole or not at all, and what is done is not done again: after any end the same command goes on.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use prost::Message;
use roost_proto::{
    error::ApiError,
    v1::{
        AppliedTenant, ApplyTenantsRequest, ApplyTenantsResponse, ListTenantsRequest, TenantChange,
        TenantDeclaration,
    },
};
use serde::Serialize;

use super::{Context, all_pages, attribution::Attribution, consent::Consent, labels::Selection};
use crate::{
    declared::file::{Declared, Place, read_all},
    failure::Failure,
    views::{AppliedView, Counts},
};

/// Tenants, and bytes, of one request; the API takes 200 and 1 MiB.
const BATCH_TENANTS: usize = 200;
const BATCH_BYTES: usize = 512 * 1024;
/// As many names as a question for consent has.
const NAMES_SHOWN: usize = 10;

/// Makes tenants what files declare them to be, and says what changed. What is as declared is left alone.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// A file of tenants, YAML or JSON, as `roost export` prints it, or of PM2's apps; - is stdin. May be given again.
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only say what would be done.
    #[arg(long)]
    plan: bool,
    /// Also delete the tenants of --selector, or of --all, that no file names. Asks first.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    selection: Selection,
    /// With --prune: every tenant may be deleted, and files may name none.
    #[arg(long, requires = "prune")]
    all: bool,
    /// Leave out what PM2's files say that is not known.
    #[arg(long)]
    ignore_unknown: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    attribution: Attribution,
}

#[derive(Serialize)]
struct AppliedAnswer {
    apply_id: String,
    plan: bool,
    tenants: Vec<AppliedView>,
}

impl Apply {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let (declared, notes) = read_all(&self.files, self.ignore_unknown)?;
        notes.iter().for_each(|note| context.output.note(note));
        self.check_prune(&declared)?;
        let deletions = if self.prune { self.to_prune(context, &declared).await? } else { Vec::new() };
        let places = declared.iter().map(|tenant| (tenant.form.id.clone(), tenant.place.clone())).collect();
        let items = deletions.into_iter().map(Item::Delete);
        let items =
            items.chain(declared.into_iter().map(|tenant| Item::Declare(Box::new(tenant.form.into()))));
        let (requested_by, reason) = self.attribution.clone().into_parts();
        let run = Run { context, places, requested_by, reason };
        let planned = run.send(&batches(items.collect()), true).await?;
        let counts = counts_of(&planned.tenants);
        if self.plan {
            return tell(context, planned, counts, true);
        }
        self.consent_to(&planned.tenants)?;
        let differs = |(item, tenant): (Item, &AppliedTenant)| {
            (tenant.change() != TenantChange::Unchanged).then_some(item)
        };
        let mut left: Vec<_> = planned.items.into_iter().zip(&planned.tenants).filter_map(differs).collect();
        // Their numbers are free for the others then.
        left.sort_by_key(|item| matches!(item, Item::Declare(_)));
        let done = run.send(&batches(left), false).await?;
        tell(context, done, counts, false)
    }

    fn check_prune(&self, declared: &[Declared]) -> Result<(), Failure> {
        let refusal = match (self.prune, self.selection.selector.is_empty()) {
            (false, false) => {
                "--selector says which tenants --prune may delete; give --prune, or leave it out"
            }
            (true, true) if !self.all => {
                "--prune needs --selector, which says which tenants it may delete, or --all"
            }
            (true, _) if declared.is_empty() && !self.all => {
                "the files name no tenant, and --prune would delete all of the selector; give --all if that is meant"
            }
            _ => return Ok(()),
        };
        Err(Failure::Refused(refusal.to_owned()))
    }

    async fn to_prune(&self, context: &Context, declared: &[Declared]) -> Result<Vec<String>, Failure> {
        let admin = context.admin()?;
        let tenants = all_pages(None, |page_size, page_token| {
            let mut client = admin.tenants();
            let selector = self.selection.selector.clone();
            let request = ListTenantsRequest { page_size, page_token, selector, ..Default::default() };
            async move {
                let page = client.list_tenants(request).await?.into_inner();
                Ok((page.tenants, page.next_page_token))
            }
        });
        let kept: HashSet<&str> = declared.iter().map(|tenant| tenant.form.id.as_str()).collect();
        let all = tenants.await?.into_iter().map(|tenant| tenant.id);
        Ok(all.filter(|id| !kept.contains(id.as_str())).collect())
    }

    fn consent_to(&self, planned: &[AppliedTenant]) -> Result<(), Failure> {
        let deleted = planned.iter().filter(|tenant| tenant.change() == TenantChange::Deleted);
        let deleted: Vec<_> = deleted.map(|tenant| tenant.id.as_str()).collect();
        if deleted.is_empty() {
            return Ok(());
        }
        let more = if deleted.len() > NAMES_SHOWN { ", ..." } else { "" };
        let names = deleted.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
        let count = deleted.len();
        self.consent
            .obtain(&format!("delete {count} tenants with their sessions and messages ({names}{more})"))
    }
}

fn counts_of(tenants: &[AppliedTenant]) -> Counts {
    let mut counts = Counts::default();
    tenants.iter().for_each(|tenant| counts.add(tenant.change()));
    counts
}

fn tell(context: &mut Context, sent: Sent, counts: Counts, plan: bool) -> Result<(), Failure> {
    let views = sent
        .tenants
        .into_iter()
        .filter(|tenant| !matches!(tenant.change(), TenantChange::Unchanged | TenantChange::Noted));
    let tenants: Vec<_> = views.map(AppliedView::from).collect();
    if context.output.is_data() {
        return context.output.data(&AppliedAnswer { apply_id: sent.apply_id, plan, tenants });
    }
    for tenant in &tenants {
        for line in tenant.lines() {
            context.output.text(&line)?;
        }
    }
    let end = match (counts.is_nothing(), plan) {
        (true, _) => format!("nothing to do: {} tenants are as declared", counts.unchanged),
        (false, true) => format!("{counts}; nothing was done"),
        (false, false) => counts.to_string(),
    };
    context.output.text(&end)
}

/// One tenant of an apply.
#[derive(Clone)]
enum Item {
    Delete(String),
    Declare(Box<TenantDeclaration>),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Item::Delete(id) => id.len(),
            Item::Declare(declaration) => declaration.encoded_len(),
        }
    }
}

fn batches(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for item in items {
        let size = item.bytes();
        if batch.len() == BATCH_TENANTS || (bytes + size > BATCH_BYTES && !batch.is_empty()) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(item);
    }
    batches.push(batch);
    batches.retain(|batch| !batch.is_empty());
    batches
}

/// What was sent, and what was answered to each of it.
struct Sent {
    apply_id: String,
    items: Vec<Item>,
    tenants: Vec<AppliedTenant>,
}

struct Run<'a> {
    context: &'a Context,
    places: HashMap<String, Place>,
    requested_by: String,
    reason: String,
}

impl Run<'_> {
    /// Sends the batches one after the other, under one id.
    async fn send(&self, batches: &[Vec<Item>], validate_only: bool) -> Result<Sent, Failure> {
        let mut client = self.context.admin()?.tenants();
        let all: usize = batches.iter().map(Vec::len).sum();
        let mut sent = Sent { apply_id: String::new(), items: Vec::new(), tenants: Vec::new() };
        for batch in batches {
            let request = self.request(&sent.apply_id, batch, validate_only);
            let answer = client.apply_tenants(request).await;
            let answer = answer
                .map_err(|status| self.failed(status, batch, sent.tenants.len(), all, validate_only))?;
            let ApplyTenantsResponse { apply_id, tenants } = answer.into_inner();
            sent.apply_id = apply_id;
            // A tenant that was to be deleted and is not there is passed over.
            let gone: HashSet<&str> = tenants.iter().map(|tenant| tenant.id.as_str()).collect();
            let declared = batch.iter().filter(|item| matches!(item, Item::Declare(_)));
            let deleted =
                batch.iter().filter(|item| matches!(item, Item::Delete(id) if gone.contains(id.as_str())));
            sent.items.extend(declared.chain(deleted).cloned());
            sent.tenants.extend(tenants);
        }
        Ok(sent)
    }

    fn request(&self, apply_id: &str, batch: &[Item], validate_only: bool) -> ApplyTenantsRequest {
        let mut request = ApplyTenantsRequest {
            apply_id: apply_id.to_owned(),
            validate_only,
            requested_by: self.requested_by.clone(),
            reason: self.reason.clone(),
            ..Default::default()
        };
        for item in batch.iter().cloned() {
            match item {
                Item::Delete(id) => request.delete_ids.push(id),
                Item::Declare(declaration) => request.declarations.push(*declaration),
            }
        }
        request
    }

    /// The refusal with the places in the files, and how far the apply has come.
    fn failed(
        &self,
        status: tonic::Status,
        batch: &[Item],
        done: usize,
        all: usize,
        validate_only: bool,
    ) -> Failure {
        let mut error = match Failure::from(status) {
            Failure::Api(error) => error,
            other => return other,
        };
        let declared: Vec<_> = batch
            .iter()
            .filter_map(|item| match item {
                Item::Declare(declaration) => declaration.tenant.as_ref().map(|tenant| tenant.id.as_str()),
                Item::Delete(_) => None,
            })
            .collect();
        self.name_places(&mut error, &declared);
        if validate_only || done == 0 {
            return Failure::Api(error);
        }
        let line = Failure::Api(error).to_string();
        Failure::Refused(format!(
            "{line}; {done} of {all} tenants are done: when it is mended, the same command goes on with the rest"
        ))
    }

    fn name_places(&self, error: &mut ApiError, declared: &[&str]) {
        for wrong in &mut error.violations {
            let of = wrong.field.strip_prefix("declarations[").and_then(|rest| rest.split_once(']'));
            let Some((index, path)) = of else { continue };
            let id = index.parse::<usize>().ok().and_then(|index| declared.get(index));
            let Some((id, place)) = id.and_then(|id| Some((id, self.places.get(*id)?))) else { continue };
            let path = path.trim_start_matches(".tenant").trim_start_matches('.');
            wrong.field = format!("{place} ({id}): {path}");
        }
    }
}
