//! Whether what WhatsApp has received is what the database let go (I6): each id is that of one reply, which was claimed before it
//! was sent first, and is sent again only while it is in doubt. The judgement is pure.
//!
//! A reply's row keeps when it was claimed and when it was marked as sent, and loses its id with its text. The line of the log
//! has the id, and the time of the same statement. So of replies that were marked together it is known which claims they
//! had, and not which claim was whose: they are wrong when no order of the claims would make each of them early enough.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use roost_devcluster::{Connection, SendCause, SentMessage, TenantRecord};
use sqlx::{Connection as _, PgConnection};

/// Of the database's clock, which is the simulator's too: microseconds since the epoch.
type Micros = i64;

/// What the database says of one tenant's replies.
#[derive(Debug, Clone, Default)]
pub struct Replies {
    /// Of the log: the id, and when the reply was marked as sent.
    logged: Vec<(String, Micros)>,
    /// Of those that were marked: when, and when they had been claimed.
    marked: Vec<(Micros, Option<Micros>)>,
    /// Those that wait or were given up: the id, and when they were claimed.
    waiting: BTreeMap<String, Option<Micros>>,
    /// Some were given up and tried again by order, which takes their claims back.
    redriven: bool,
}

/// What is wrong with all that these tenants have sent; of one that is not there any more nothing is known.
pub async fn violations(
    database: &str,
    tenants: &[TenantRecord],
    sent: impl AsyncFn(&TenantRecord) -> Vec<SentMessage>,
    connections: &[Connection],
) -> Result<Vec<String>> {
    let mut database = PgConnection::connect(database).await?;
    let mut wrong = vec![];
    for tenant in tenants {
        // First: what is sent meanwhile has its row.
        let sent = sent(tenant).await;
        if let Some(replies) = Replies::read(&mut database, &tenant.id).await? {
            wrong.extend(
                replies.judge(&sent, connections).into_iter().map(|what| format!("{}: {what}", tenant.id)),
            );
        }
    }
    Ok(wrong)
}

impl Replies {
    /// None when there is no such tenant.
    async fn read(database: &mut PgConnection, tenant: &str) -> Result<Option<Self>> {
        let there = "select exists(select from tenants where id = $1 and deleting_since is null),
            exists(select from bm_out where tenant_id = $1 and redriven)";
        let (is_there, redriven): (bool, bool) =
            sqlx::query_as(there).bind(tenant).fetch_one(&mut *database).await?;
        if !is_there {
            return Ok(None);
        }
        let waiting = "select whatsapp_id, (extract(epoch from claimed_at) * 1000000)::bigint
            from bm_out where tenant_id = $1 and state <> 'SENT'";
        let waiting: Vec<(String, _)> =
            sqlx::query_as(waiting).bind(tenant).fetch_all(&mut *database).await?;
        let logged = "select whatsapp_id, (extract(epoch from created_at) * 1000000)::bigint
            from message_logs where tenant_id = $1 and direction = 'OUT'";
        let logged = sqlx::query_as(logged).bind(tenant).fetch_all(&mut *database).await?;
        // Last: what is marked between the two has its row here.
        let marked = "select (extract(epoch from sent_at) * 1000000)::bigint,
            (extract(epoch from claimed_at) * 1000000)::bigint
            from bm_out where tenant_id = $1 and state = 'SENT'";
        let marked = sqlx::query_as(marked).bind(tenant).fetch_all(&mut *database).await?;
        Ok(Some(Self { logged, marked, waiting: waiting.into_iter().collect(), redriven }))
    }

    /// What is wrong.
    fn judge(&self, sent: &[SentMessage], connections: &[Connection]) -> Vec<String> {
        let marked_at: BTreeMap<&str, Micros> =
            self.logged.iter().map(|(id, at)| (id.as_str(), *at)).collect();
        let mut wrong = vec![];
        let mut first_sends: BTreeMap<Micros, Vec<Micros>> = BTreeMap::new();
        for message in sent {
            let told = || format!("{:?} to {} as {}", message.body, message.to, message.id);
            let arrived = micros(message.at_ms + 1);
            match (marked_at.get(message.id.as_str()), self.waiting.get(&message.id)) {
                (Some(marked), _) => {
                    first_sends.entry(*marked).or_default().push(arrived);
                    if was_asked_for_after(*marked, message, connections) {
                        wrong.push(format!("sent again after it had been marked as sent: {}", told()));
                    }
                }
                (None, Some(claimed)) => {
                    if !self.redriven && claimed.is_none_or(|claimed| claimed > arrived) {
                        wrong.push(format!("sent without having been claimed: {}", told()));
                    }
                }
                (None, None) => wrong.push(format!("sent under an id that no reply has: {}", told())),
            }
        }
        for (marked, sends) in first_sends.into_iter().filter(|_| !self.redriven) {
            if !self.were_claimed(marked, sends) {
                wrong.push(format!(
                    "some that were marked as sent together, at {marked}, were sent before their claims"
                ));
            }
        }
        wrong
    }

    /// Whether each of these that were marked together may have been claimed before it was sent.
    fn were_claimed(&self, marked: Micros, mut sends: Vec<Micros>) -> bool {
        let together = self.marked.iter().filter(|(at, _)| *at == marked);
        let mut claims: Vec<Micros> = together.filter_map(|(_, claimed)| *claimed).collect();
        sends.sort_unstable();
        claims.sort_unstable();
        claims.len() >= sends.len() && sends.iter().zip(&claims).all(|(sent, claimed)| claimed <= sent)
    }
}

/// By a page that began only then: an earlier one may have had it on its way.
fn was_asked_for_after(marked: Micros, message: &SentMessage, connections: &[Connection]) -> bool {
    let begun_after: BTreeSet<u64> = connections
        .iter()
        .filter(|connection| micros(connection.opened_at_ms) > marked)
        .map(|connection| connection.id)
        .collect();
    let asked = message.resends.iter().filter(|resend| resend.cause == SendCause::Asked);
    asked.into_iter().any(|resend| begun_after.contains(&resend.connection))
}

fn micros(ms: u64) -> Micros {
    Micros::try_from(ms).unwrap_or(Micros::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use roost_devcluster::Resend;

    use super::*;
    use crate::fixtures::connection;

    fn sent(id: &str, at_ms: u64) -> SentMessage {
        SentMessage {
            index: 1,
            to: "1@c.us".into(),
            body: "x".into(),
            id: id.into(),
            at_ms,
            connection: 1,
            life: "a".into(),
            resends: vec![],
        }
    }

    fn again(message: SentMessage, connection: u64, cause: SendCause) -> SentMessage {
        let resend = Resend {
            at_ms: 9_000,
            connection,
            life: "b".into(),
            cause,
            delivered_before: true,
            sent_by_life: false,
            acknowledged_before: true,
            acknowledged_to_life_at_ms: None,
        };
        SentMessage { resends: vec![resend], ..message }
    }

    /// Marked at these times, with these claims.
    fn replies(of: &[(&str, u64, Option<u64>)]) -> Replies {
        Replies {
            logged: of.iter().map(|(id, marked, _)| ((*id).to_owned(), micros(*marked))).collect(),
            marked: of.iter().map(|(_, marked, claimed)| (micros(*marked), claimed.map(micros))).collect(),
            ..Replies::default()
        }
    }

    fn connections() -> Vec<Connection> {
        vec![connection(1, 0), connection(2, 4_000), connection(3, 6_000)]
    }

    fn wrong(replies: &Replies, sent: &[SentMessage]) -> usize {
        replies.judge(sent, &connections()).len()
    }

    #[test]
    fn a_reply_is_claimed_before_it_is_sent() {
        assert_eq!(wrong(&replies(&[("a", 5_000, Some(1_000))]), &[sent("a", 1_000)]), 0);
        assert_eq!(wrong(&replies(&[("a", 5_000, Some(2_000))]), &[sent("a", 1_000)]), 1, "it came before");
        assert_eq!(wrong(&replies(&[("a", 5_000, None)]), &[sent("a", 1_000)]), 1, "it was never claimed");
        let waits = |claimed| Replies { waiting: [("a".to_owned(), claimed)].into(), ..Replies::default() };
        assert_eq!(wrong(&waits(Some(micros(500))), &[sent("a", 1_000)]), 0);
        assert_eq!(wrong(&waits(None), &[sent("a", 1_000)]), 1);
        let redriven = Replies { redriven: true, ..waits(None) };
        assert_eq!(wrong(&redriven, &[sent("a", 1_000)]), 0, "an order takes the claim back");
    }

    #[test]
    fn of_those_that_were_marked_together_each_may_have_any_claim_of_theirs() {
        let together = replies(&[("a", 5_000, Some(3_000)), ("b", 5_000, Some(1_000)), ("c", 6_000, None)]);
        assert_eq!(wrong(&together, &[sent("a", 2_000), sent("b", 3_000)]), 0);
        assert_eq!(wrong(&together, &[sent("a", 2_000), sent("b", 2_500)]), 1);
    }

    #[test]
    fn an_id_that_no_reply_has_is_a_second_one() {
        let replies = replies(&[("a", 5_000, Some(1_000))]);
        assert_eq!(wrong(&replies, &[sent("a", 1_000), sent("a2", 1_001)]), 1);
    }

    #[test]
    fn what_is_marked_is_in_doubt_for_no_page_that_begins_afterwards() {
        let replies = replies(&[("a", 5_000, Some(1_000))]);
        let again = |connection, cause| again(sent("a", 1_000), connection, cause);
        assert_eq!(wrong(&replies, &[again(3, SendCause::Asked)]), 1);
        assert_eq!(wrong(&replies, &[again(2, SendCause::Asked)]), 0, "it was in doubt");
        assert_eq!(wrong(&replies, &[again(3, SendCause::Retry)]), 0, "a recipient has asked");
    }
}
