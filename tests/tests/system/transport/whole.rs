//! A whole cluster as `roost dev --tls` runs it: a message goes through all of it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use roost_devcluster::DevRecord;
use roost_tests::Scenario;
use sqlx::Connection;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_speaks_tls_everywhere_answers_a_message() -> Result<()> {
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 1);
        options.tls = true;
    })
    .await?;
    scenario.answers(&scenario.tenant(0), "by TLS").await?;
    let record = scenario.cluster.record();
    let ca_file = record.ca_file.as_ref().context("the command line finds the authority")?;
    answers_in_json(&record, ca_file, &scenario.tenant(0).id).await?;
    ensure!(record.etcd.endpoint.starts_with("https://"), "{}", record.etcd.endpoint);

    let mut admin = sqlx::PgConnection::connect(&record.postgres.url).await?;
    let open = "select count(*) from pg_stat_activity a left join pg_stat_ssl s using (pid) \
                where a.backend_type = 'client backend' and not coalesce(s.ssl, false)";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&mut admin).await?;
    ensure!(open == 0, "{open} connections without TLS");
    let (without, _) = record.postgres.url.split_once('?').expect("its settings");
    ensure!(sqlx::PgConnection::connect(without).await.is_err(), "it asks for a certificate");
    admin.close().await?;
    scenario.finish().await
}

async fn answers_in_json(record: &DevRecord, ca_file: &Path, tenant: &str) -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let ca = reqwest::Certificate::from_pem(&fs::read(ca_file)?)?;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).tls_certs_only([ca]);
    let addr = record.http_addr.as_ref().context("it serves in JSON")?;
    let token = fs::read_to_string(&record.token_file)?;
    let asked = client.build()?.get(format!("https://{addr}/v1/tenants/{tenant}/worker"));
    asked.bearer_auth(token.trim()).send().await?.error_for_status()?;
    Ok(())
}
