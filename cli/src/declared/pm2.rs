//! The files of PM2 as declared tenants: `ecosystem.config.json`, `.yaml`, a `.js` that is nothing but an object, and what `pm2 jlist`
//! prints. No JavaScript is run.
//!
//! An app is a tenant, its process is the tenant's worker. A key of which nothing is known is an error; one that is known and has no
//! counterpart is told once, with what to do instead.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    form::{ScheduleForm, TenantForm, WorkerForm},
    pm2_timing,
    timing::TimingForm,
};
use crate::choices::TemplateChoice;

pub struct Converted {
    pub tenants: Vec<TenantForm>,
    /// What is not carried over, with what to do instead.
    pub notes: Vec<String>,
}

/// Keys of an app that say how a process is run, which Roost does itself.
const OF_THE_PROCESS: [&str; 30] = [
    "script",
    "cwd",
    "args",
    "interpreter",
    "interpreter_args",
    "node_args",
    "exec_mode",
    "watch",
    "ignore_watch",
    "watch_delay",
    "watch_options",
    "source_map_support",
    "vizion",
    "instance_var",
    "increment_var",
    "treekill",
    "force",
    "post_update",
    "filter_env",
    "pid_file",
    "uid",
    "gid",
    "user",
    "append_env_to_name",
    "pmx",
    "automation",
    "shutdown_with_message",
    "stop_exit_codes",
    "exec_interpreter",
    "port",
];
const OF_LOGS: [&str; 11] = [
    "log_file",
    "out_file",
    "error_file",
    "output",
    "error",
    "log",
    "log_date_format",
    "merge_logs",
    "combine_logs",
    "log_type",
    "time",
];
/// Keys, and variables, without a counterpart of a tenant's own.
const INSTEAD: [(&str, &str); 7] = [
    ("instances", "a tenant has one worker, always"),
    ("autorestart", "a worker is always started again; `worker: stopped` keeps it from running"),
    ("wait_ready", "always; `roost worker wait T --for connected`"),
    ("LOG_LEVEL", "RUST_LOG of a node"),
    ("SESSIONS_PATH", "--state-dir and --object-store of a node"),
    ("PUPPETEER_EXECUTABLE_PATH", "--browser of a node"),
    ("NODE_ENV", "there is no Node.js"),
];

/// The apps of such a file; None for any other.
pub fn apps(file: &str, text: &str) -> Option<Result<Vec<Value>, String>> {
    let value = if [".js", ".cjs", ".mjs"].iter().any(|end| file.ends_with(end)) {
        match object_of(text) {
            Some(value) => value,
            None => return Some(Err(to_convert(file))),
        }
    } else {
        serde_saphyr::from_str(text).ok().or_else(|| json5::from_str(text).ok())?
    };
    match value {
        Value::Array(apps) if apps.iter().all(Value::is_object) => Some(Ok(apps)),
        Value::Object(mut whole) => match whole.remove("apps")? {
            Value::Array(apps) => Some(Ok(apps)),
            app => Some(Ok(vec![app])),
        },
        _ => None,
    }
}

/// The object that a module exports, if that is all there is to it.
fn object_of(text: &str) -> Option<Value> {
    let (before, exported) =
        text.split_once("module.exports").or_else(|| text.split_once("export default"))?;
    let is_comment = |line: &str| {
        ["", "//", "/*", "*", "'use strict'", "\"use strict\""]
            .iter()
            .any(|start| if start.is_empty() { line.is_empty() } else { line.starts_with(start) })
    };
    if !before.lines().map(str::trim).all(is_comment) {
        return None;
    }
    let literal = exported.trim_start().trim_start_matches('=').trim().trim_end_matches(';');
    json5::from_str(literal).ok()
}

fn to_convert(file: &str) -> String {
    format!(
        "{file}: is more than an object that is exported, and no JavaScript is run here; convert it: \
         node -e 'console.log(JSON.stringify(require(\"./{file}\")))' | roost apply -f -"
    )
}

/// The tenants of these apps, or all that is wrong with them.
pub fn convert(file: &str, apps: Vec<Value>, ignore_unknown: bool) -> Result<Converted, String> {
    let mut conversion = Conversion::default();
    let mut tenants = Vec::new();
    for (index, app) in apps.into_iter().enumerate() {
        let Value::Object(app) = app else {
            return Err(format!("{file}: apps[{index}]: is no object"));
        };
        conversion.at = format!("{file}: apps[{index}]");
        tenants.push(conversion.app(app));
    }
    let Conversion { notes, mut wrong, unknown, .. } = conversion;
    if !ignore_unknown && !unknown.is_empty() {
        let unknown: Vec<_> = unknown.into_iter().collect();
        wrong.push(format!("{}: give --ignore-unknown to leave them out", unknown.join("; ")));
    }
    let notes = notes.into_iter().map(|(key, instead)| format!("{key} is not carried over: {instead}"));
    if wrong.is_empty() { Ok(Converted { tenants, notes: notes.collect() }) } else { Err(wrong.join("; ")) }
}

#[derive(Default)]
struct Conversion {
    at: String,
    notes: BTreeMap<String, &'static str>,
    wrong: Vec<String>,
    unknown: BTreeSet<String>,
}

impl Conversion {
    fn app(&mut self, mut app: Map<String, Value>) -> TenantForm {
        let name = app.remove("name").map(|name| text(&name)).unwrap_or_default();
        let mut form =
            TenantForm { id: id_of(&name), worker: Some(WorkerForm::Running), ..Default::default() };
        if let Some(Value::Object(listed)) = app.remove("pm2_env") {
            self.listed(&mut form, listed);
        } else {
            let env = app.remove("env");
            for (key, value) in &app {
                self.key(&mut form, key, value);
            }
            if let Some(Value::Object(env)) = env {
                for (name, value) in &env {
                    if !self.variable(&mut form, name, value) && !self.is_without_counterpart(name) {
                        self.unknown.insert(format!("{}.env.{name}: is unknown", self.at));
                    }
                }
            }
        }
        if form.id.is_empty() {
            self.wrong
                .push(format!("{}: has no name and no TENANT_ID, one of which is the tenant's id", self.at));
        }
        form
    }

    /// An app as `pm2 jlist` prints it: its settings lie among its environment and PM2's own account, which are not the
    /// tenant's.
    fn listed(&mut self, form: &mut TenantForm, listed: Map<String, Value>) {
        for (key, value) in &listed {
            let is_setting = matches!(key.as_str(), "cron_restart" | "max_memory_restart")
                || pm2_timing::KEYS.contains(&key.as_str())
                || (key == "namespace" && value != "default");
            if is_setting && !value.is_null() && value != &Value::Bool(false) {
                self.key(form, key, value);
            }
        }
        for (name, value) in listed.get("env").and_then(Value::as_object).into_iter().flatten() {
            self.variable(form, name, value);
        }
        if matches!(listed.get("status").and_then(Value::as_str), Some("stopped" | "stopping")) {
            form.worker = Some(WorkerForm::Stopped);
        }
    }

    fn key(&mut self, form: &mut TenantForm, key: &str, value: &Value) {
        match key {
            "cron_restart" => {
                form.restart_schedule = Some(ScheduleForm { cron: text(value), ..Default::default() });
                self.notes.insert(
                    "the time zone of cron_restart".to_owned(),
                    "it is UTC here; give time_zone, such as Africa/Nairobi",
                );
            }
            "max_memory_restart" => match bytes(value) {
                Some(limit) => form.memory_limit_bytes = Some(limit),
                None => {
                    let given = text(value);
                    self.wrong.push(format!("{}.{key}: {given:?} is no size such as 300M", self.at));
                }
            },
            _ if pm2_timing::KEYS.contains(&key) => self.timing(form, key, key, value),
            "namespace" => drop(form.labels.insert("namespace".to_owned(), text(value))),
            _ if OF_THE_PROCESS.contains(&key) => {
                self.notes.insert(key.to_owned(), "Roost runs the worker itself");
            }
            _ if OF_LOGS.contains(&key) => {
                self.notes.insert(key.to_owned(), "a node logs to stderr: journalctl -u roost-node");
            }
            _ if key.starts_with("env_") => {
                self.notes.insert(key.to_owned(), "one environment is read: env");
            }
            _ if self.is_without_counterpart(key) => {}
            _ => drop(self.unknown.insert(format!("{}.{key}: is unknown", self.at))),
        }
    }

    /// `at` says where it stands.
    fn timing(&mut self, form: &mut TenantForm, at: &str, key: &str, value: &Value) {
        let timing = form.timing.get_or_insert_default();
        if let Err(why) = pm2_timing::set(timing, key, &text(value)) {
            self.wrong.push(format!("{}.{at}: {why}", self.at));
        }
        form.timing = form.timing.take().filter(|timing| *timing != TimingForm::default());
    }

    fn is_without_counterpart(&mut self, key: &str) -> bool {
        let known = INSTEAD.iter().find(|(known, _)| *known == key);
        known.map(|(_, instead)| self.notes.insert(key.to_owned(), instead)).is_some()
    }

    /// Whether it is one of a tenant's settings.
    fn variable(&mut self, form: &mut TenantForm, name: &str, value: &Value) -> bool {
        if pm2_timing::VARIABLES.contains(&name) {
            self.timing(form, &format!("env.{name}"), name, value);
            return true;
        }
        let value = text(value);
        match name {
            "TENANT_ID" => form.id = id_of(&value),
            "BUSINESS_NAME" | "DISPLAY_NAME" => form.display_name = Some(value),
            "PHONE_NUMBER" => form.phone = Some(format!("+{}", value.trim_start_matches('+'))),
            "LANGUAGE" => form.language = self.choice(name, &value),
            "TEMPLATE" => form.template = self.choice::<TemplateChoice>(name, &value),
            "RATE_LIMIT_MAX_PER_MINUTE" => match value.parse() {
                Ok(limit) => form.reply_limit_per_minute = Some(limit),
                Err(_) => self.wrong.push(format!("{}.env.{name}: {value:?} is no whole number", self.at)),
            },
            _ => return false,
        }
        true
    }

    fn choice<C: clap::ValueEnum>(&mut self, name: &str, value: &str) -> Option<C> {
        let chosen = C::from_str(value, true).ok();
        if chosen.is_none() {
            let known: Vec<_> = C::value_variants().iter().filter_map(C::to_possible_value).collect();
            let known: Vec<_> = known.iter().map(|choice| choice.get_name()).collect();
            self.wrong.push(format!("{}.env.{name}: {value:?} is none of {}", self.at, known.join(", ")));
        }
        chosen
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What an id may be of, from what a name is.
fn id_of(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(allowed).collect::<String>().trim_start_matches('-').to_owned()
}

/// Of a size as PM2 takes it: bytes, or a number with K, M or G.
fn bytes(value: &Value) -> Option<i64> {
    if let Some(bytes) = value.as_i64() {
        return Some(bytes);
    }
    let size = value.as_str()?.trim().to_ascii_uppercase();
    let number = size.trim_end_matches(['K', 'M', 'G']);
    let unit = match &size[number.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{choices::LanguageChoice, declared::span::Span};

    fn seconds(seconds: u64) -> Option<Span> {
        Some(Span(std::time::Duration::from_secs(seconds)))
    }

    fn converted(file: &str, text: &str, ignore_unknown: bool) -> Result<Converted, String> {
        convert(file, apps(file, text).expect("a file of PM2")?, ignore_unknown)
    }

    const MODULE: &str = "// ours\nmodule.exports = {\n  apps: [{\n    name: 'Duka_1', script: './worker.js', // the worker\n    \
         cron_restart: '0 4 * * *', max_memory_restart: '300M', namespace: 'pro',\n    \
         max_restarts: 15, min_uptime: '10s', restart_delay: 4000, kill_timeout: 3000, listen_timeout: 60000,\n    \
         env: { HEARTBEAT_INTERVAL_MS: 30000, STALE_THRESHOLD_MINUTES: '2', BUSINESS_NAME: 'Duka', PHONE_NUMBER: 255700000001, LANGUAGE: 'SW', RATE_LIMIT_MAX_PER_MINUTE: '20' },\n  }],\n};\n";

    #[test]
    fn an_app_is_a_tenant_whose_worker_runs() {
        let Converted { tenants, notes } = converted("ecosystem.config.js", MODULE, false).unwrap();
        let expected = TenantForm {
            id: "duka-1".into(),
            display_name: Some("Duka".into()),
            phone: Some("+255700000001".into()),
            language: Some(LanguageChoice::Sw),
            reply_limit_per_minute: Some(20),
            restart_schedule: Some(ScheduleForm { cron: "0 4 * * *".into(), ..Default::default() }),
            memory_limit_bytes: Some(300 << 20),
            timing: Some(TimingForm {
                probe_every: seconds(30),
                stale_after: seconds(120),
                start_deadline: seconds(60),
                reconnect_attempts: Some(15),
                reconnect_delay: seconds(4),
                stable_after: seconds(10),
                stop_grace: seconds(3),
                ..Default::default()
            }),
            labels: [("namespace".into(), "pro".into())].into(),
            worker: Some(WorkerForm::Running),
            ..Default::default()
        };
        assert_eq!(tenants, [expected]);
        assert_eq!(
            notes,
            [
                "script is not carried over: Roost runs the worker itself",
                "the time zone of cron_restart is not carried over: it is UTC here; give time_zone, such as Africa/Nairobi",
            ]
        );
    }

    #[test]
    fn a_size_is_bytes_or_has_a_unit() {
        let of = |text: &str| bytes(&Value::from(text));
        assert_eq!(
            (of("1g"), of("64K"), of("5"), bytes(&Value::from(7))),
            (Some(1 << 30), Some(64 << 10), Some(5), Some(7))
        );
        for wrong in ["", "M", "1T", "1.5G", "MK", "9000000000G"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_module_that_is_more_than_an_object_is_not_run() {
        for text in [
            "const name = require('./n');\nmodule.exports = { apps: [] };",
            "module.exports = { apps: [{ name: process.env.NAME }] };",
            "console.log(1)",
        ] {
            let told = converted("ecosystem.config.js", text, true).err().unwrap();
            assert!(told.contains("JSON.stringify(require(\"./ecosystem.config.js\"))"), "{told}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_unless_it_may_be_left_out() {
        let text = "apps:\n- name: duka\n  shiny: 1\n  env: {TENANT_ID: soko, COLOUR: red}\n";
        let told = converted("ecosystem.config.yaml", text, false).err().unwrap();
        assert_eq!(
            told,
            "ecosystem.config.yaml: apps[0].env.COLOUR: is unknown; ecosystem.config.yaml: apps[0].shiny: is unknown: \
             give --ignore-unknown to leave them out"
        );
        assert_eq!(converted("ecosystem.config.yaml", text, true).unwrap().tenants[0].id, "soko");
    }

    #[test]
    fn what_cannot_be_a_setting_is_told_with_its_app_and_key() {
        let text = r#"{"apps": [{"env": {"LANGUAGE": "fr", "RATE_LIMIT_MAX_PER_MINUTE": "many"}, "kill_timeout": "soon"}]}"#;
        let told = converted("e.json", text, false).err().unwrap();
        for part in [
            "e.json: apps[0].env.LANGUAGE: \"fr\" is none of en, sw",
            "e.json: apps[0].env.RATE_LIMIT_MAX_PER_MINUTE: \"many\" is no whole number",
            "e.json: apps[0].kill_timeout: \"soon\" is no number of milliseconds",
            "e.json: apps[0]: has no name and no TENANT_ID",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn a_list_of_processes_says_which_run() {
        let text = r#"[{"pid": 7, "name": "duka", "pm2_env": {"status": "online", "namespace": "default", "PATH": "/bin", "kill_timeout": 1600, "restart_delay": 0,
            "env": {"PATH": "/bin", "BUSINESS_NAME": "Duka"}}}, {"name": "soko", "pm2_env": {"status": "stopped"}}]"#;
        let Converted { tenants, notes } = converted("stdin", text, false).unwrap();
        assert_eq!(
            tenants.iter().map(|form| (form.id.as_str(), form.worker)).collect::<Vec<_>>(),
            [("duka", Some(WorkerForm::Running)), ("soko", Some(WorkerForm::Stopped))]
        );
        assert_eq!((tenants[0].display_name.as_deref(), notes.len()), (Some("Duka"), 0));
        let grace = TimingForm {
            stop_grace: Some(Span(std::time::Duration::from_millis(1_600))),
            ..Default::default()
        };
        assert_eq!(tenants[0].timing, Some(grace));
    }

    #[test]
    fn other_files_are_none_of_pm2() {
        for text in ["tenants: []\n", "", "a: b", "[1]", "tenants: {"] {
            assert!(apps("t.yaml", text).is_none(), "{text:?}");
        }
    }
}
