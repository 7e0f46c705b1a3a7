//! Many profiles: those in a directory whose names are tenants' ids.

use std::{collections::HashSet, path::PathBuf};

use roost_proto::v1::ListTenantsRequest;
use tokio::task::JoinSet;

use super::{
    super::{Context, all_pages},
    send::{Sender, on_disk},
};
use crate::{
    bot_profile,
    failure::Failure,
    views::{ImportResult, ImportView},
};

/// As many names as a note has.
const NAMES_SHOWN: usize = 10;

pub async fn run(context: &mut Context, sender: Sender, dir: PathBuf, at_once: usize) -> Result<(), Failure> {
    let plan = sender.plan;
    let found = on_disk(move || bot_profile::find_all(&dir)).await?;
    let tenants = tenants(context).await?;
    let (wanted, strangers): (Vec<_>, Vec<_>) =
        found.profiles.into_iter().partition(|(name, _)| tenants.contains(name));
    let strangers: Vec<_> = strangers.into_iter().map(|(name, _)| name).collect();
    note(context, "no tenant's, and left alone", &strangers);
    note(context, "there twice, and left alone: import the right one by itself", &found.ambiguous);

    let mut left = wanted.into_iter();
    let (mut running, mut counts) = (JoinSet::new(), Counts::default());
    loop {
        while running.len() < at_once
            && let Some((tenant, profile)) = left.next()
        {
            let sender = sender.clone();
            running.spawn(async move {
                let imported = sender.send_from(tenant.clone(), profile).await;
                imported.or_else(|failure| match failure {
                    // Nobody else will be answered either.
                    Failure::Unreachable { .. } | Failure::Target(_) => Err(failure),
                    failure => Ok(ImportView::failed(tenant, failure.line())),
                })
            });
        }
        let Some(done) = running.join_next().await else { break };
        let view =
            done.map_err(|error| Failure::Input { what: "a profile".into(), source: error.into() })??;
        counts.add(view.result);
        context.output.event(&view)?;
    }
    counts.conclude(context, plan, found.ambiguous.len())
}

async fn tenants(context: &Context) -> Result<HashSet<String>, Failure> {
    let admin = context.admin()?;
    let tenants = all_pages(None, |page_size, page_token| {
        let mut client = admin.tenants();
        let request = ListTenantsRequest { page_size, page_token, ..Default::default() };
        async move {
            let page = client.list_tenants(request).await?.into_inner();
            Ok((page.tenants, page.next_page_token))
        }
    });
    Ok(tenants.await?.into_iter().map(|tenant| tenant.id).collect())
}

fn note(context: &Context, what: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    context.output.note(&format!("{what}: {shown}{more}"));
}

#[derive(Default)]
struct Counts {
    done: usize,
    done_before: usize,
    failed: usize,
}

impl Counts {
    fn add(&mut self, result: ImportResult) {
        *match result {
            ImportResult::Failed => &mut self.failed,
            ImportResult::DoneBefore => &mut self.done_before,
            ImportResult::Ready | ImportResult::Imported => &mut self.done,
        } += 1;
    }

    fn conclude(self, context: &Context, plan: bool, ambiguous: usize) -> Result<(), Failure> {
        let Self { done, done_before, failed } = self;
        let (what, end) = if plan { ("to import", "; nothing was done") } else { ("imported", "") };
        context.output.note(&format!("{done} {what}, {done_before} done before, {failed} failed{end}"));
        let not_done = failed + ambiguous;
        if not_done == 0 {
            return Ok(());
        }
        let again = if plan { "" } else { "; when it is mended, the same command goes on with the rest" };
        Err(Failure::Refused(format!(
            "{not_done} of {} sessions cannot be imported{again}",
            done + done_before + not_done
        )))
    }
}
