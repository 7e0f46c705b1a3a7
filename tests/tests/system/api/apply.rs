//! TenantService.ApplyTenants, and `roost apply` and `roost export` on it.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::PathBuf, process::Output};

use roost_devcluster::product;
use roost_proto::{error::ErrorCode, v1};
use tokio::{fs, process::Command};

use crate::api::harness::{Api, TOKEN, api, apis, business, fields, refused};

const NAMED: [&str; 2] = ["display_name", "phone"];

fn declared(id: &str, tenant: v1::Tenant, paths: &[&str]) -> v1::TenantDeclaration {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    v1::TenantDeclaration {
        tenant: Some(v1::Tenant { id: id.into(), ..tenant }),
        fields: Some(prost_types::FieldMask { paths }),
        desired_state: 0,
    }
}

fn request(declarations: Vec<v1::TenantDeclaration>) -> v1::ApplyTenantsRequest {
    v1::ApplyTenantsRequest {
        declarations,
        requested_by: "asha".into(),
        reason: "season".into(),
        ..Default::default()
    }
}

/// Tenant and what became of it, with the changed fields.
async fn applied(api: &Api, request: v1::ApplyTenantsRequest) -> Vec<String> {
    let answer = api.tenants().apply_tenants(request).await.expect("an apply").into_inner();
    let told = answer.tenants.iter().map(|tenant| {
        let field = |field: &v1::FieldChange| format!(" {}={}>{}", field.path, field.before, field.after);
        let fields: String = tenant.fields.iter().map(field).collect();
        format!(
            "{} {}{fields}",
            tenant.id,
            tenant.change().as_str_name().trim_start_matches("TENANT_CHANGE_")
        )
    });
    told.collect()
}

async fn tenant(api: &Api, id: &str) -> v1::Tenant {
    api.tenants().get_tenant(v1::GetTenantRequest { id: id.into() }).await.expect("a tenant").into_inner()
}

/// Oldest first.
async fn history(api: &Api) -> Vec<String> {
    let listed = api.cluster().list_events(v1::ListEventsRequest::default()).await.expect("events");
    let mut events = listed.into_inner().events;
    events.retain(|event| event.kind() == v1::EventKind::TenantsApplied);
    let told = events.iter().rev().map(|event| {
        let (_, counts) = event.text.split_once(": ").expect("an apply with its counts");
        format!("{counts} ({}: {})", event.requested_by, event.reason)
    });
    told.collect()
}

#[tokio::test]
async fn declared_tenants_are_made_and_changed_once() {
    let api = api().await;
    let mut soko = declared("soko", business(2), &NAMED);
    soko.desired_state = v1::DesiredState::Running.into();
    let two = vec![declared("duka", business(1), &NAMED), soko];
    assert_eq!(applied(&api, request(two.clone())).await, ["duka CREATED", "soko CREATED"]);
    assert_eq!(applied(&api, request(two)).await, ["duka UNCHANGED", "soko UNCHANGED"]);
    assert_eq!(api.worker("soko").await.desired_state(), v1::DesiredState::Running);
    assert_eq!(api.worker("duka").await.desired_state(), v1::DesiredState::Stopped);

    let change = v1::Tenant { reply_limit_per_minute: Some(20), ..business(1) };
    let mut changed = declared("duka", change, &["display_name", "phone", "reply_limit_per_minute"]);
    changed.desired_state = v1::DesiredState::Running.into();
    let told = ["duka CHANGED reply_limit_per_minute=10>20 desired_state=stopped>running"];
    let plan = v1::ApplyTenantsRequest { validate_only: true, ..request(vec![changed.clone()]) };
    assert_eq!(applied(&api, plan).await, told);
    assert_eq!(tenant(&api, "duka").await.reply_limit_per_minute, Some(10));
    assert_eq!(applied(&api, request(vec![changed])).await, told);
    assert_eq!(tenant(&api, "duka").await.reply_limit_per_minute, Some(20));

    let gone =
        v1::ApplyTenantsRequest { delete_ids: vec!["soko".into(), "nobody".into()], ..request(Vec::new()) };
    assert_eq!(applied(&api, gone).await, ["soko DELETED"]);
    let expected = [
        "2 created, 1 started (asha: season)",
        "1 changed, 1 started (asha: season)",
        "1 deleted (asha: season)",
    ];
    assert_eq!(history(&api).await, expected);
}

#[tokio::test]
async fn what_a_browser_may_take_and_says_is_declared_too() {
    let api = api().await;
    let browser = v1::BrowserSettings { time_zone: "Africa/Nairobi".into(), ..Default::default() };
    let given = v1::Tenant {
        memory_limit_bytes: Some(300 << 20),
        process_limit: Some(0),
        qr_rotations: Some(5),
        browser: Some(browser),
        timing: Some(v1::WorkerTiming { max_crashes: Some(0), ..Default::default() }),
        ..business(1)
    };
    let fields =
        ["display_name", "phone", "memory_limit_bytes", "process_limit", "qr_rotations", "browser", "timing"];
    let whole = || request(vec![declared("duka", given.clone(), &fields)]);
    assert_eq!(applied(&api, whole()).await, ["duka CREATED"]);
    assert_eq!(applied(&api, whole()).await, ["duka UNCHANGED"]);
    let kept = tenant(&api, "duka").await;
    assert_eq!((kept.memory_limit_bytes, kept.process_limit), (given.memory_limit_bytes, Some(0)));
    assert_eq!((kept.qr_rotations, kept.browser), (Some(5), given.browser.clone()));
    assert_eq!(kept.timing, given.timing);
    let fewer = request(vec![declared("duka", business(1), &NAMED)]);
    let told = "duka CHANGED memory_limit_bytes=314572800> process_limit=0> qr_rotations=5> \
                browser.time_zone=Africa/Nairobi> timing.max_crashes=0>";
    assert_eq!(applied(&api, fewer).await, [told]);
}

#[tokio::test]
async fn what_a_file_leaves_out_is_its_default_again_if_an_apply_had_named_it() {
    let api = api().await;
    let by_hand = v1::Tenant {
        labels: [("plan".into(), "pro".into()), ("zone".into(), "east".into())].into(),
        language: v1::Language::Sw.into(),
        reply_limit_per_minute: Some(30),
        ..business(1)
    };
    let create = v1::CreateTenantRequest { tenant: Some(by_hand.clone()), tenant_id: "duka".into() };
    api.tenants().create_tenant(create).await.unwrap();
    let named = declared("duka", by_hand, &["reply_limit_per_minute", "labels.plan", "phone"]);
    assert_eq!(applied(&api, request(vec![named.clone()])).await, ["duka NOTED"]);
    assert_eq!(applied(&api, request(vec![named])).await, ["duka UNCHANGED"]);
    assert_eq!(history(&api).await, [] as [&str; 0]);

    let left_out = declared("duka", v1::Tenant::default(), &[]);
    let told = ["duka CHANGED reply_limit_per_minute=30>10 labels.plan=pro>"];
    assert_eq!(applied(&api, request(vec![left_out])).await, told);
    let left = tenant(&api, "duka").await;
    assert_eq!((left.language(), left.labels.len()), (v1::Language::Sw, 1));
    assert_eq!(left.phone, business(1).phone);
}

#[tokio::test]
async fn nothing_is_done_of_a_request_of_which_something_cannot_be() {
    let api = api().await;
    api.tenant("taken", 1).await;
    let wrong = vec![
        declared("duka", business(2), &NAMED),
        declared("thief", business(1), &NAMED),
        declared("bare", v1::Tenant::default(), &[]),
    ];
    for validate_only in [true, false] {
        let request = v1::ApplyTenantsRequest { validate_only, ..request(wrong.clone()) };
        let error = refused(api.tenants().apply_tenants(request).await);
        let expected = [
            "declarations[2].tenant.display_name",
            "declarations[2].tenant.phone",
            "declarations[1].tenant.phone",
        ];
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), expected);
        assert!(error.message.contains("is the phone of tenant taken"), "{}", error.message);
    }
    let get = v1::GetTenantRequest { id: "duka".into() };
    assert_eq!(refused(api.tenants().get_tenant(get).await).code, ErrorCode::NotFound);
}

#[tokio::test]
async fn numbers_change_places_and_are_free_when_their_tenant_goes() {
    let api = api().await;
    for (id, digits) in [("a", 1), ("b", 2), ("old", 3)] {
        api.tenant(id, digits).await;
    }
    let phone = |digits| v1::Tenant { phone: business(digits).phone, ..Default::default() };
    let swapped = v1::ApplyTenantsRequest {
        delete_ids: vec!["old".into()],
        ..request(vec![
            declared("a", phone(2), &["phone"]),
            declared("b", phone(1), &["phone"]),
            declared("new", business(3), &NAMED),
        ])
    };
    api.tenants().apply_tenants(swapped).await.unwrap();
    for (id, digits) in [("a", 2), ("b", 1), ("new", 3)] {
        assert_eq!(tenant(&api, id).await.phone, business(digits).phone, "{id}");
    }
}

#[tokio::test]
async fn applies_of_the_same_tenants_at_once_make_each_of_them_once() {
    let [one, other] = apis(["c1", "c2"]).await;
    let all = || (0..50).map(|n| declared(&format!("t{n}"), business(n), &NAMED)).collect::<Vec<_>>();
    let reversed = || all().into_iter().rev().collect::<Vec<_>>();
    let (first, second) = tokio::join!(applied(&one, request(all())), applied(&other, request(reversed())));
    let created = first.iter().chain(&second).filter(|told| told.ends_with(" CREATED")).count();
    assert_eq!(created, 50, "{first:?} {second:?}");
    assert_eq!(history(&one).await, ["50 created (asha: season)"]);

    let limit = |limit: i32| {
        let declare = |n: u32| {
            let tenant = v1::Tenant { reply_limit_per_minute: Some(limit), ..business(n) };
            declared(&format!("t{n}"), tenant, &["reply_limit_per_minute"])
        };
        (0..50).map(declare).collect::<Vec<_>>()
    };
    let down = limit(20).into_iter().rev().collect();
    tokio::join!(applied(&one, request(limit(30))), applied(&other, request(down)));
    let last = tenant(&one, "t0").await.reply_limit_per_minute;
    for n in 1..50 {
        assert_eq!(tenant(&one, &format!("t{n}")).await.reply_limit_per_minute, last, "t{n}");
    }
}

/// The client on the coordinator, in its directory.
async fn roost(api: &Api, args: &[&str]) -> Output {
    let mut command = Command::new(product("roost").expect("the client"));
    command.args(args).current_dir(api.dir.path()).env_clear().env("ROOST_TOKEN", TOKEN);
    command.env("ROOST_ADDR", api.coordinator.addr().to_string()).env("USER", "asha");
    command.output().await.expect("the client's end")
}

async fn told(api: &Api, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = roost(api, args).await;
    assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

async fn file(api: &Api, text: &str) -> PathBuf {
    let path = api.dir.path().join("tenants.yaml");
    fs::write(&path, text).await.expect("a file");
    path
}

#[tokio::test]
async fn fifty_tenants_of_a_file_are_made_changed_pruned_and_exported() {
    let api = api().await;
    let fifty = |limit: u32, but: Option<u32>| {
        let tenants = (0..50).filter(|n| Some(*n) != but).map(|n| {
            format!(
                "- id: t{n:02}\n  display_name: Duka {n}\n  phone: +2557000001{n:02}\n  labels: {{fleet: tests}}\n  \
                 reply_limit_per_minute: {limit}\n"
            )
        });
        format!("tenants:\n{}", tenants.collect::<String>())
    };
    file(&api, &fifty(10, None)).await;
    let apply = ["apply", "-f", "tenants.yaml"];
    assert!(told(&api, &apply).await.ends_with("+ t49\n50 created, 0 changed, 0 deleted, 0 unchanged\n"));
    assert_eq!(told(&api, &apply).await, "nothing to do: 50 tenants are as declared\n");
    file(&api, &fifty(20, None)).await;
    let changed = told(&api, &apply).await;
    assert!(changed.starts_with("~ t00.reply_limit_per_minute: 10 -> 20\n"), "{changed}");
    assert_eq!(changed.lines().count(), 51);

    file(&api, &fifty(20, Some(7))).await;
    api.tenant("by-hand", 99).await;
    let prune = ["apply", "-f", "tenants.yaml", "--prune", "-l", "fleet=tests"];
    let refusal = roost(&api, &prune).await;
    assert!(String::from_utf8_lossy(&refusal.stderr).contains("delete 1 tenants"), "{refusal:?}");
    let yes: Vec<_> = prune.into_iter().chain(["--yes"]).collect();
    assert_eq!(told(&api, &yes).await, "- t07\n0 created, 0 changed, 1 deleted, 49 unchanged\n");

    let exported = told(&api, &["export"]).await;
    file(&api, &exported).await;
    assert_eq!(told(&api, &apply).await, "nothing to do: 50 tenants are as declared\n");
    assert_eq!(told(&api, &["export"]).await, exported);
    let json = told(&api, &["export", "-o", "json"]).await;
    file(&api, &json).await;
    assert_eq!(told(&api, &apply).await, "nothing to do: 50 tenants are as declared\n");
}

#[tokio::test]
async fn a_proxy_is_declared_by_a_file_of_its_own_and_its_credentials_are_in_no_answer() {
    let api = api().await;
    let secret = |url: &str| {
        let path = api.dir.path().join("duka-proxy");
        std::fs::write(&path, url).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    let tenant = |id: &str, n: u32, proxy: &str| {
        format!("tenants:\n- id: {id}\n  display_name: Duka\n  phone: '{}'\n  {proxy}\n", business(n).phone)
    };
    secret("http://asha:sesame@proxy.example:3128\n");
    file(&api, &tenant("duka", 1, "proxy_file: duka-proxy")).await;
    let apply = ["apply", "-f", "tenants.yaml"];
    assert!(told(&api, &apply).await.starts_with("+ duka\n"));
    assert_eq!(told(&api, &apply).await, "nothing to do: 1 tenants are as declared\n");
    secret("http://asha:simsim@proxy.example:3128\n");
    let changed = told(&api, &apply).await;
    let expected = "~ duka.proxy: \"http://proxy.example:3128 with credentials\" -> \"http://proxy.example:3128 with other credentials\"\n";
    assert!(changed.starts_with(expected), "{changed}");

    let exported = told(&api, &["export"]).await;
    assert!(exported.contains("has_credentials: true") && !exported.contains("simsim"), "{exported}");
    file(&api, &exported).await;
    assert_eq!(told(&api, &apply).await, "nothing to do: 1 tenants are as declared\n");
    let kept = "proxy: {url: 'http://proxy.example:3128', has_credentials: true}";
    for (other, n) in [(tenant("soko", 2, kept), 0), (tenant("duka", 1, &kept.replace("3128", "3129")), 0)] {
        file(&api, &other).await;
        let refused = roost(&api, &apply).await;
        let line = String::from_utf8(refused.stderr).unwrap();
        assert!(line.contains(&format!("tenants[{n}]")) && line.contains("proxy_file"), "{line}");
        assert_eq!(refused.status.code(), Some(1));
    }
    file(&api, &tenant("duka", 1, "")).await;
    let left_out = told(&api, &apply).await;
    assert!(
        left_out.starts_with("~ duka.proxy: \"http://proxy.example:3128 with credentials\" -> none\n"),
        "{left_out}"
    );
}

#[tokio::test]
async fn an_apply_that_ended_in_the_middle_goes_on() {
    let api = api().await;
    let all = |n: u32| declared(&format!("t{n:03}"), business(n), &NAMED);
    let first = request((0..200).map(all).collect());
    let id = api.tenants().apply_tenants(first).await.unwrap().into_inner().apply_id;
    assert_eq!(id.len(), 36);
    // Its client is gone; the same file once more, from the beginning.
    let tenants = (0..250)
        .map(|n| format!("- {{id: t{n:03}, display_name: Duka {n}, phone: '{}'}}\n", business(n).phone));
    file(&api, &format!("tenants:\n{}", tenants.collect::<String>())).await;
    let told = told(&api, &["apply", "-f", "tenants.yaml", "--reason", "season"]).await;
    assert!(told.ends_with("50 created, 0 changed, 0 deleted, 200 unchanged\n"), "{told}");
    assert_eq!(history(&api).await, ["200 created (asha: season)", "50 created (asha: season)"]);
}
