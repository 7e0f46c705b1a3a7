//! What happens all day: a phone is linked, messages come, answers go.

use roost_devcluster::TenantRecord;
use roost_proto::v1::{Direction, ListMessagesRequest, Message};
use roost_tests::{SOON, Scenario};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_paired_and_answers_by_its_template_and_both_directions_are_logged() -> anyhow::Result<()>
{
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants, options.echo) = (1, 1, false);
    })
    .await?;
    let tenant = scenario.tenant(0);
    let greeting = scenario.cluster.ask(&tenant, "+255733000001", "Hello", SOON).await?;
    assert!(greeting.body.contains(&tenant.name), "the greeting names the business: {:?}", greeting.body);
    assert!(greeting.body.contains('1'), "the greeting has the menu: {:?}", greeting.body);
    // The phone has a reply before it is in the log; the next message could overtake it there.
    messages(&scenario, &tenant, 2).await?;
    let chosen = scenario.cluster.ask(&tenant, "+255733000001", "1", SOON).await?;
    assert_ne!(chosen.body, greeting.body);
    let logged = messages(&scenario, &tenant, 4).await?;
    let directions: Vec<_> =
        logged.iter().rev().map(|message| (message.direction(), message.body.as_str())).collect();
    assert_eq!(
        directions,
        [
            (Direction::In, "Hello"),
            (Direction::Out, greeting.body.as_str()),
            (Direction::In, "1"),
            (Direction::Out, chosen.body.as_str())
        ]
    );
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reply_limit_warns_once_and_then_keeps_silent_and_groups_are_not_answered() -> anyhow::Result<()>
{
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants, options.echo) = (1, 1, false);
    })
    .await?;
    let (tenant, simulator) = (scenario.tenant(0), scenario.cluster.simulator()?);
    let group = json!({"phone": tenant.phone, "from": "+255733000009", "chat": "120363000000000001@g.us", "body": "to all"});
    simulator.deliver(group).await?;
    for number in 0..14 {
        simulator.message(&tenant.phone, &format!("2557330100{number:02}"), "Hello").await?;
    }
    // Ten answers and one warning; the log shows when all fourteen have been dealt with.
    let sent = scenario.cluster.sent_until(&tenant, 0, SOON, |sent| sent.len() >= 11).await?;
    let logged = messages(&scenario, &tenant, 25).await?;
    assert_eq!(logged.iter().filter(|message| message.direction() == Direction::In).count(), 14);
    assert_eq!(sent.len(), 11, "ten replies and one warning: {sent:#?}");
    assert!(sent.iter().all(|message| message.to.ends_with("@c.us")), "a group was answered: {sent:#?}");
    let warnings = sent.iter().filter(|message| message.body != sent[0].body).count();
    assert_eq!(warnings, 1, "one warning per window: {sent:#?}");
    assert_eq!(simulator.sent(&tenant.phone, 0).await?.len(), 11);
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_in_many_chats_is_answered_whole_and_in_order() -> anyhow::Result<()> {
    let scenario = Scenario::start(1, 1).await?;
    let mut conversation = scenario.conversation(&scenario.tenant(0))?;
    for _ in 0..200 {
        conversation.say(20).await?;
    }
    scenario.settle(&conversation, SOON).await?;
    scenario.finish().await
}

/// The log, newest first, once it has so many entries.
async fn messages(
    scenario: &Scenario,
    tenant: &TenantRecord,
    at_least: usize,
) -> anyhow::Result<Vec<Message>> {
    let list = || async {
        let request = ListMessagesRequest {
            reason: "a test looks".into(),
            tenant_id: tenant.id.clone(),
            ..ListMessagesRequest::default()
        };
        let page = scenario.cluster.admin().messages().list_messages(request).await;
        page.map(|page| page.into_inner().messages).unwrap_or_default()
    };
    scenario.cluster.wait("the log is complete", SOON, || async { list().await.len() >= at_least }).await?;
    Ok(list().await)
}
