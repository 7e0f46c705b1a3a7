//! Files of declared tenants, YAML or JSON (which is YAML). All that is wrong with them is found before anything is done, and told
//! with file, line and path.

use std::{
    collections::HashMap,
    fmt, fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_saphyr::{Options, Spanned, UserMessageFormatter};

use super::{
    form::{ProxyForm, TenantForm},
    pm2,
};
use crate::{commands::proxy_file::read_proxy, failure::Failure};

/// Fields of a tenant that the coordinator sets.
const OUTPUT_ONLY: [&str; 3] = ["status", "create_time", "update_time"];

/// A tenant and where it is declared.
#[derive(Debug, Clone)]
pub struct Declared {
    pub form: TenantForm,
    pub place: Place,
}

/// `tenants.yaml:3: tenants[0]`
#[derive(Debug, Clone)]
pub struct Place(String);

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileForm<T> {
    pub tenants: Vec<T>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tenants of all files, and what is to be told of files that are PM2's. `-` is stdin.
pub fn read_all(paths: &[PathBuf], ignore_unknown: bool) -> Result<(Vec<Declared>, Vec<String>), Failure> {
    let (mut declared, mut notes) = (Vec::new(), Vec::new());
    for path in paths {
        let (file, text) = (name_of(path), read(path)?);
        match parse(&file, &text) {
            Ok(tenants) => declared.extend(with_proxies(path, tenants)?),
            Err(refusal) => match pm2::apps(&file, &text) {
                None => return Err(Failure::Refused(refusal)),
                Some(apps) => {
                    let converted = apps.and_then(|apps| pm2::convert(&file, apps, ignore_unknown));
                    let converted = converted.map_err(Failure::Refused)?;
                    let tenants = converted.tenants.into_iter().enumerate();
                    declared.extend(tenants.map(|(index, form)| Declared {
                        form,
                        place: Place(format!("{file}: apps[{index}]")),
                    }));
                    notes.extend(converted.notes);
                }
            },
        }
    }
    check_unique(&declared).map_err(Failure::Refused)?;
    Ok((declared, notes))
}

fn name_of(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}

fn read(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_bytes| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|source| Failure::Input { what: name_of(path), source })
}

fn parse(file: &str, text: &str) -> Result<Vec<Declared>, String> {
    let mut path = String::new();
    let form: Result<FileForm<Spanned<TenantForm>>, _> =
        serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|error| {
                path = error.path().to_string().replace("].value", "]");
                error.into_inner()
            })
        });
    let form = form.map_err(|error| told(file, &path, &error))?;
    let tenants = form.tenants.into_iter().enumerate();
    let declared = tenants.map(|(index, tenant)| Declared {
        place: Place(format!("{file}:{}: tenants[{index}]", tenant.referenced.line())),
        form: tenant.value,
    });
    Ok(declared.collect())
}

/// Each `proxy_file` is read, from beside the file that names it.
fn with_proxies(file: &Path, mut declared: Vec<Declared>) -> Result<Vec<Declared>, Failure> {
    let beside = file.parent().unwrap_or(Path::new(""));
    for Declared { form, place } in &mut declared {
        let refused = |why: &str| Err(Failure::Refused(format!("{place}: {why}")));
        match (&form.proxy, form.proxy_file.take()) {
            (Some(_), Some(_)) => {
                return refused("proxy_file: there is a proxy already; give one of the two");
            }
            (Some(ProxyForm { url, .. }), None) if url.contains('@') => {
                return refused(
                    "proxy.url: credentials do not belong in a file of tenants; put the address with them into a file that \
                     is closed to others, and name that as proxy_file",
                );
            }
            (None, Some(path)) => match read_proxy(&beside.join(path)) {
                Ok(url) => form.proxy = Some(ProxyForm { url, has_credentials: false }),
                Err(error) => return refused(&format!("proxy_file: {error}")),
            },
            (_, None) => {}
        }
    }
    Ok(declared)
}

/// A file of many tenants is large and not a stranger's; what aliases may blow up to stays bounded.
fn options() -> Options {
    serde_saphyr::options! { budget: None, with_snippet: false }
}

fn told(file: &str, path: &str, error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().render_with_formatter(&UserMessageFormatter);
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    let field = path.rsplit('.').next().unwrap_or_default();
    let message = if message.starts_with("unknown field") && OUTPUT_ONLY.contains(&field) {
        "is set by the coordinator; leave it out".to_owned()
    } else {
        message
    };
    let place = match error.location() {
        Some(at) => format!("{file}:{}:{}", at.line(), at.column()),
        None => file.to_owned(),
    };
    match path {
        "" | "." => format!("{place}: {message} (a file begins with `tenants:`; see roost export)"),
        path => format!("{place}: {path}: {message}"),
    }
}

fn check_unique(declared: &[Declared]) -> Result<(), String> {
    let mut ids = HashMap::new();
    let mut phones = HashMap::new();
    let mut wrong = Vec::new();
    for Declared { form, place } in declared {
        if let Some(first) = ids.insert(form.id.as_str(), place) {
            wrong.push(format!("{place}: id: {:?} is declared at {first}, too", form.id));
        }
        let Some(phone) = &form.phone else { continue };
        if let Some((first, owner)) = phones.insert(phone.as_str(), (place, &form.id)) {
            wrong.push(format!("{place}: phone: {phone} is the phone of {owner:?} at {first}, too"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use super::*;
    use crate::declared::{
        form::{ScheduleForm, TextsForm, WorkerForm},
        span::Span,
    };

    fn refusal(text: &str) -> String {
        let declared = parse("t.yaml", text);
        declared.and_then(|declared| check_unique(&declared)).unwrap_err()
    }

    #[test]
    fn a_file_is_yaml_or_json() {
        let yaml = "# ours\ntenants:\n- id: duka\n  phone: +255700000001\n  labels: {plan: pro}\n- id: no\n  worker: running\n";
        let declared = parse("t.yaml", yaml).unwrap();
        assert_eq!(declared[0].form.phone.as_deref(), Some("+255700000001"));
        assert_eq!(
            (declared[1].form.id.as_str(), declared[1].form.worker),
            ("no", Some(WorkerForm::Running))
        );
        assert_eq!(declared[1].place.to_string(), "t.yaml:6: tenants[1]");
        let json = r#"{"tenants": [{"id": "duka", "answer_within": "90m"}]}"#;
        assert_eq!(
            parse("t.json", json).unwrap()[0].form.answer_within,
            Some(Span(Duration::from_secs(5_400)))
        );
        assert_eq!(parse("t.yaml", "tenants: []\n").unwrap().len(), 0);
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_and_path() {
        for (text, expected) in [
            ("tenants:\n- id: duka\n  fone: 1\n", "t.yaml:3:3: tenants[0].fone: unknown field `fone`"),
            (
                "tenants:\n- id: duka\n  status: ACTIVE\n",
                "t.yaml:3:3: tenants[0].status: is set by the coordinator; leave it out",
            ),
            (
                "tenants:\n- id: duka\n  reply_limit_per_minute: ten\n",
                "t.yaml:3:27: tenants[0].reply_limit_per_minute: invalid",
            ),
            (
                "tenants:\n- id: duka\n  template: shop\n",
                "t.yaml:3:13: tenants[0].template: unknown variant `shop`",
            ),
            ("tenants:\n- id: duka\n  answer_within: ever\n", "t.yaml:3"),
            ("tenants:\n- phone: '1'\n", "t.yaml:2:3: tenants[0]: missing field `id`"),
            (
                "tenants:\n- id: duka\n  texts:\n    menu:\n    - {title: a, answer: b}\n",
                "t.yaml:5:18: tenants[0].texts.menu[0].answer: unknown field",
            ),
            ("tenants:\n- id: duka\n  id: duka\n", "t.yaml:3:3: tenants[0]"),
            (
                "tenants:\n- id: a\n- id: a\n",
                "t.yaml:3: tenants[1]: id: \"a\" is declared at t.yaml:2: tenants[0], too",
            ),
            (
                "tenants:\n- {id: a, phone: '+255700000001'}\n- {id: b, phone: +255700000001}\n",
                "t.yaml:3: tenants[1]: phone: +255700000001 is the phone of \"a\" at t.yaml:2: tenants[0], too",
            ),
            ("", "t.yaml:1:1: "),
            ("tenants:\n", "t.yaml:1:"),
            ("tenants: []\n---\ntenants: []\n", "t.yaml:"),
        ] {
            let told = refusal(text);
            assert!(told.starts_with(expected), "{text:?} gives {told}");
            assert!(!told.contains('\n'), "{told}");
        }
        assert!(refusal("tenants:\n- id: duka\n  answer_within: ever\n").contains("no span of time"));
    }

    #[test]
    fn a_proxy_with_credentials_comes_from_a_file_beside_that_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let read = |text: &str| {
            let path = write("t.yaml", &format!("tenants:\n- id: duka\n{text}"), 0o644);
            read_all(&[path], false).map(|(mut declared, _)| declared.remove(0).form)
        };
        let whole = "http://asha:sesame@proxy.example:3128";
        write("duka-proxy", &format!("{whole}\n"), 0o600);
        let form = read("  proxy_file: duka-proxy\n").unwrap();
        assert_eq!(form.proxy.as_ref().map(|proxy| proxy.url.as_str()), Some(whole));
        assert!(!format!("{form:?}").contains("sesame"), "{form:?}");
        let kept = read("  proxy: {url: 'http://proxy.example:3128', has_credentials: true}\n").unwrap();
        assert_eq!(serde_json::to_value(&kept.proxy).unwrap()["has_credentials"], true);
        for (text, why) in [
            (format!("  proxy: {{url: '{whole}'}}\n"), "tenants[0]: proxy.url: credentials do not belong"),
            ("  proxy: {url: 'http://h'}\n  proxy_file: duka-proxy\n".into(), "give one of the two"),
            ("  proxy_file: nowhere\n".into(), "nowhere"),
        ] {
            let told = read(&text).unwrap_err().to_string();
            assert!(told.contains(why) && !told.contains("sesame"), "{text} gives {told}");
        }
        write("duka-proxy", whole, 0o644);
        let told = read("  proxy_file: duka-proxy\n").unwrap_err().to_string();
        assert!(told.contains("t.yaml:2: tenants[0]: proxy_file: ") && !told.contains("sesame"), "{told}");
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let greeting = "Karibu {business}!\n\n  # yes: 'no' \"~\"\ttab \u{1F44B} \r\n- null ".to_owned();
        let form = TenantForm {
            id: "no".into(),
            display_name: Some("true".into()),
            phone: Some("+255700000001".into()),
            texts: Some(TextsForm { greeting, fallback: "long words ".repeat(40), ..Default::default() }),
            answer_within: Some(Span(Duration::from_secs(86_400))),
            restart_schedule: Some(ScheduleForm { cron: "0 4 * * *".into(), ..Default::default() }),
            labels: [("n".into(), "1_0".into()), ("empty".into(), String::new())].into(),
            metadata: [("k: v".into(), "0x1F".into()), ("<<".into(), "=".into())].into(),
            worker: Some(WorkerForm::Stopped),
            ..TenantForm::default()
        };
        let written = serde_saphyr::to_string(&FileForm { tenants: vec![form.clone()] }).unwrap();
        assert_eq!(parse("t.yaml", &written).unwrap()[0].form, form, "{written}");
        let written = serde_json::to_string_pretty(&FileForm { tenants: vec![form.clone()] }).unwrap();
        assert_eq!(parse("t.json", &written).unwrap()[0].form, form, "{written}");
    }
}
