//! The console's pages from templates, with every word from its catalogue: in English, for operators read the log and the API in it too.

use minijinja::{Environment, Value};
use roost_model::causes;

use crate::portal::{
    language::Language,
    templates::{TemplateError, Words, environment, text, words},
};

/// Their names end in `.html`, by which what is put in is escaped.
const PAGES: [(&str, &str); 24] = [
    ("base.html", include_str!("templates/base.html")),
    ("frame.html", include_str!("templates/frame.html")),
    ("welcome.html", include_str!("templates/welcome.html")),
    ("phone.html", include_str!("templates/phone.html")),
    ("code.html", include_str!("templates/code.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("overview_live.html", include_str!("templates/overview_live.html")),
    ("nodes.html", include_str!("templates/nodes.html")),
    ("nodes_live.html", include_str!("templates/nodes_live.html")),
    ("node.html", include_str!("templates/node.html")),
    ("workers.html", include_str!("templates/workers.html")),
    ("tenants.html", include_str!("templates/tenants.html")),
    ("tenant.html", include_str!("templates/tenant.html")),
    ("tenant_live.html", include_str!("templates/tenant_live.html")),
    ("log.html", include_str!("templates/log.html")),
    ("operations.html", include_str!("templates/operations.html")),
    ("operation.html", include_str!("templates/operation.html")),
    ("operation_live.html", include_str!("templates/operation_live.html")),
    ("plan.html", include_str!("templates/plan.html")),
    ("fleet.html", include_str!("templates/fleet.html")),
    ("setups.html", include_str!("templates/setups.html")),
    ("letters.html", include_str!("templates/letters.html")),
    ("audit.html", include_str!("templates/audit.html")),
    ("problem.html", include_str!("templates/problem.html")),
];
const CATALOGUE: &str = include_str!("text/en.ftl");
const LANGUAGE: Language = Language::English;

pub struct ConsolePages {
    pages: Environment<'static>,
    words: Words,
}

impl ConsolePages {
    /// `provider`: by whom people may sign in as well.
    pub fn new(provider: Option<&str>) -> Result<Self, TemplateError> {
        let words = words(LANGUAGE, CATALOGUE)?;
        Ok(Self { pages: environment(LANGUAGE, words.clone(), &PAGES, provider)?, words })
    }

    /// One that cannot be made is a fault of ours; a test makes each.
    pub fn page(&self, name: &str, context: Value) -> String {
        let made = self.pages.get_template(name).and_then(|page| page.render(context));
        made.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), page = name, "a page of the console cannot be made");
            self.text("away")
        })
    }

    pub fn text(&self, key: &str) -> String {
        self.text_with(key, &[])
    }

    pub fn text_with(
        &self,
        key: &str,
        with: &[(&'static str, fluent_bundle::FluentValue<'static>)],
    ) -> String {
        text(&self.words, key, &with.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;
    use crate::portal::templates::tests::{WRITTEN, html_escaped, keys, marked, texts, without_marked};

    const CONDITIONS: [&str; 16] = [
        "stopped",
        "none",
        "starting",
        "waiting-for-capacity",
        "waiting-for-failover",
        "waiting-for-node",
        "waiting-for-whatsapp",
        "waiting-for-store",
        "waiting-for-scan",
        "scan-paused",
        "healing",
        "failed",
        "answering",
        "needs-update",
        "unlinked",
        "session-refused",
    ];
    const TROUBLES: [&str; 9] = [
        "away",
        "no-leader",
        "complaint",
        "failover-held",
        "failover-paused",
        "operation",
        "node-lost",
        "node-impaired",
        "node-suspect",
    ];
    const NODES: [&str; 7] = ["live", "lost", "draining", "impaired", "suspect", "cordoned", "leaving"];

    fn at() -> Value {
        context! { iso => 7, text => 7 }
    }

    fn workers() -> Vec<Value> {
        let row = |condition: &&str| {
            context! { id => 7, name => WRITTEN, phone => WRITTEN, node => 7, condition => *condition, reason => WRITTEN, since => at(), restarts => 7 }
        };
        CONDITIONS.iter().map(row).collect()
    }

    fn node(state: &str) -> Value {
        context! {
            id => 7, state, tenants => 7, capacity => 7, weight => 7, zone => WRITTEN, version => WRITTEN, lease => 7, started => at(),
            memory => 7, impairments => [WRITTEN], cordoned_by => WRITTEN, cordon_reason => WRITTEN, drain => 7, suspect_until => at(), window_until => at(),
        }
    }

    fn overview() -> Value {
        let stuck = TROUBLES.iter().chain(["letters"].iter()).chain(CONDITIONS[3..8].iter());
        let stuck = stuck.chain(["failed", "session-refused", "needs-update", "healing"].iter());
        let troubles = stuck.map(|kind| {
            context! { kind => *kind, about => WRITTEN, href => 7, reason => WRITTEN, since => at() }
        });
        let counts = context! {
            live => 7, lost => 7, cordoned => 7, draining => 7, impaired => 7, running => 7, placed => 7, waiting => 7, error => 7, rebalances => true, term => 7,
        };
        let conditions = CONDITIONS[1..].iter().map(|key| context! { key => *key, count => 7 });
        context! {
            is_known => true, is_whole => false, troubles => troubles.collect::<Vec<_>>(), conditions => conditions.collect::<Vec<_>>(), stopped => 7,
            nodes => NODES.map(node).to_vec(), leader => WRITTEN, counts,
            operations => [context! { id => 7, done => 7, total => 7, message => WRITTEN }],
            events => [context! { at => at(), text => WRITTEN, by => WRITTEN }],
        }
    }

    fn tenant(row: Value) -> Value {
        let moved = context! { from => 7, to => 7, reason => WRITTEN, at => at() };
        let placement = context! {
            summary => WRITTEN, triggers => [WRITTEN], history => [moved],
            candidates => [context! { node => 7, fits => true, reason => WRITTEN }, context! { node => 7, fits => false, reason => WRITTEN }],
        };
        let states = ["kept", "damaged", "passed-over", "void"];
        let snapshots = states
            .map(|state| context! { id => 7, state, is_newest => true, size => 7, node => 7, at => at() });
        let more = context! {
            inbound => 7, outbound => 7, conflicts => 7, resends => 7, pin => 7, usage => 7, node_says => WRITTEN, placement, no_placement => WRITTEN,
            changes => [context! { condition => "failed", reason => WRITTEN, node => 7, at => at() }], snapshots => snapshots.to_vec(),
        };
        context! {
            row, session => 7, last_error => WRITTEN, generation => 7, seen => at(), name => WRITTEN, phone => WRITTEN, labels => [WRITTEN],
            orders => ["start", "stop", "restart", "force-restart", "relink"], may_see_log => true, may_see_letters => true, may_move => true, ..more
        }
    }

    fn operation(state: &str, kind: &str) -> Value {
        let operation = context! {
            id => 7, state, kind, about => WRITTEN, done => 7, total => 7, message => WRITTEN, by => WRITTEN, reason => WRITTEN, started => at(), ended => at(),
        };
        let moves = [context! { tenant => 7, from => 7, to => 7, reason => WRITTEN }];
        context! { operation, moves, failures => [context! { tenant => 7, reason => WRITTEN }], may_cancel => true }
    }

    /// Each with all that it may have.
    fn pages() -> Vec<(&'static str, Value)> {
        let parts = ["overview", "nodes", "tenants", "operations", "setups", "letters", "audit"];
        let frame = |role: &str| {
            context! { email => WRITTEN, role, form_token => 7, part => "nodes", parts, told => WRITTEN, title => WRITTEN }
        };
        let stays = || [context! { tenant => 7, reason => WRITTEN }];
        let mut pages = vec![
            ("welcome.html", context! { problem => WRITTEN, purpose => (), here => 7 }),
            ("phone.html", context! { problem => WRITTEN, picture => 7, secret => 7 }),
            ("code.html", context! { problem => WRITTEN }),
            ("overview.html", context! { is_known => false, troubles => [0; 0] }),
            ("overview.html", context! { troubles => [0; 0], ..overview() }),
            ("overview.html", overview()),
            (
                "nodes.html",
                context! { is_known => false, away => WRITTEN, nodes => NODES.map(node).to_vec() },
            ),
            (
                "log.html",
                context! { id => 7, notices => [WRITTEN], lines => [context! { at => at(), level => 7, message => WRITTEN, fields => WRITTEN }] },
            ),
        ];
        for purpose in ["sign-up", "join", "reset"] {
            pages.push((
                "welcome.html",
                context! { problem => (), purpose, role => "viewer", email => WRITTEN, here => 7 },
            ));
        }
        let about_node = |state| context! { node => node(state), workers => workers(), next => 7, is_live => true, may_order => true };
        pages.extend(NODES.map(|state| ("node.html", about_node(state))));
        for tenants in [workers(), Vec::new()] {
            pages.push(("tenants.html", context! { q => WRITTEN, labels => WRITTEN, condition => "failed", conditions => CONDITIONS, next => 7, may_order => true, tenants }));
        }
        pages.extend(workers().into_iter().map(|row| ("tenant.html", tenant(row))));
        for state in ["running", "done", "failed", "cancelled"] {
            for kind in ["drain", "rebalance", "move", "fleet", "rollout"] {
                pages.push(("operation.html", operation(state, kind)));
                let one = operation(state, kind).get_attr("operation").unwrap();
                pages.push((
                    "operations.html",
                    context! { operations => [one], next => 7, may_rebalance => true },
                ));
            }
        }
        for kind in ["drain", "rebalance"] {
            let moves = [context! { tenant => 7, from => 7, to => 7, reason => WRITTEN }];
            pages.push(("plan.html", context! { kind, about => WRITTEN, action => 7, moves, blocked => stays(), count => 7, blocked_count => 7, may_order => true }));
        }
        let chosen = context! { count => 7, answering => 7, named => [WRITTEN], blocked => stays() };
        pages.push(("fleet.html", context! { labels => WRITTEN, action => "move", actions => ["start", "stop", "restart", "force-restart", "move"], may_order => true, chosen }));
        let letter = |direction: &str| {
            context! { id => 7, tenant => 7, direction, chat => WRITTEN, body => WRITTEN, reason => WRITTEN, attempts => 7, redrivable => true, at => at() }
        };
        for letters in [vec![letter("in"), letter("out")], Vec::new()] {
            pages.push((
                "letters.html",
                context! { tenant => WRITTEN, letters, next => WRITTEN, may_redrive => true },
            ));
        }
        let states = ["submitted", "reviewing", "approved", "active", "rejected"];
        let request = |(at, state): (usize, &&str)| {
            let (template, language) = (["support", "booking", "ecommerce"][at % 3], ["en", "sw"][at % 2]);
            let texts =
                context! { greeting => WRITTEN, fallback => WRITTEN, reason => WRITTEN, by => WRITTEN };
            let about = context! { id => 7, state => *state, is_open => at < 2, email => WRITTEN, name => WRITTEN, phone => 7 };
            context! { template, language, tenant => 7, at => self::at(), ..context! { ..texts, ..about } }
        };
        let requests: Vec<_> = states.iter().enumerate().map(request).collect();
        for requests in [requests, Vec::new()] {
            pages.push(("setups.html", context! { requests, next => 7, may_decide => true }));
        }
        let entry = context! { at => at(), caller => WRITTEN, call => 7, about => 7, result => 7, origin => 7, remark => WRITTEN };
        pages.push((
            "audit.html",
            context! { caller => WRITTEN, tenant => WRITTEN, entries => [entry], next => 7 },
        ));
        pages.push(("problem.html", context! {}));
        let roles = ["admin", "operator", "viewer"];
        let framed = pages
            .into_iter()
            .enumerate()
            .map(|(at, (name, page))| (name, context! { ..page, ..frame(roles[at % 3]) }));
        framed.collect()
    }

    fn made(words: Words) -> Vec<(&'static str, String)> {
        let environment = environment(LANGUAGE, words, &PAGES, Some(WRITTEN)).unwrap();
        let make = |(name, context)| (name, environment.get_template(name).unwrap().render(context).unwrap());
        pages().into_iter().map(make).collect()
    }

    #[test]
    fn every_word_of_a_page_is_from_the_catalogue_and_what_others_write_is_shown_as_text() {
        let marked: Vec<String> = CATALOGUE.lines().map(marked).collect();
        for (name, page) in made(words(LANGUAGE, &marked.join("\n")).unwrap()) {
            assert!(!page.contains("<b "), "{name}: {page}");
            let rest = without_marked(&texts(&page).replace("Roost", ""));
            let rest = rest.replace(&html_escaped(WRITTEN), "");
            assert!(!rest.contains(char::is_alphabetic), "{name}: {rest}");
        }
    }

    #[test]
    fn no_page_names_a_word_that_there_is_not_and_each_word_is_used() {
        let known = keys(CATALOGUE);
        let made = made(words(LANGUAGE, CATALOGUE).unwrap());
        for (name, page) in &made {
            let texts = texts(page);
            let unknown = texts.split_whitespace().find(|word| known.contains(word) && word.contains('-'));
            assert_eq!(unknown, None, "{name}");
        }
        let code = [
            include_str!("sign_in.rs"),
            include_str!("answer.rs"),
            include_str!("orders.rs"),
            include_str!("pages.rs"),
        ];
        let prefixes = [
            "stuck-",
            "mend-",
            "condition-",
            "node-",
            "order-",
            "operation-",
            "kind-",
            "snapshot-",
            "role-",
            "part-",
            "plan-",
            "start-",
            "direction-",
            "setup-",
            "template-",
            "answers-in-",
        ];
        let is_used = |key: &&&str| {
            let quoted = [format!("\"{key}\""), format!("'{key}'")];
            let is_named = |text: &str| quoted.iter().any(|quoted| text.contains(quoted));
            code.iter().any(|code| is_named(code))
                || PAGES.iter().any(|(_, page)| is_named(page))
                || prefixes.iter().any(|begins| key.starts_with(begins))
        };
        let unused: Vec<_> = known.iter().filter(|key| !is_used(key)).collect();
        assert!(unused.is_empty(), "{unused:?}");
    }
}
