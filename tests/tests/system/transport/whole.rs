//! A whole cluster as `roost dev --tls` runs it: a message goes through all of it.

use anyhow::{Result, ensure};
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
    ensure!(record.ca_file.is_some_and(|file| file.exists()), "the command line finds the authority");
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
