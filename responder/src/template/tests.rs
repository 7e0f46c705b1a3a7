//! Whole conversations, compared with the files in `golden/`: what a customer would see. `ROOST_BLESS=1 cargo test`
//! writes the files anew; read the difference before committing it.

use std::{fmt::Write, fs, path::PathBuf, time::Duration};

use roost_model::{
    BrowserSettings, LanguageCode, MenuItem, ResendPolicy, ResourceLimits, TemplateKind, TenantSettings,
    Texts, TimingOverrides,
};

use super::{limit_warning, script::Script};

fn tenant(template: TemplateKind, language: LanguageCode, texts: Texts) -> TenantSettings {
    TenantSettings {
        display_name: "Duka la Amina".into(),
        phone: "+255700000001".into(),
        template,
        language,
        texts,
        reply_limit_per_minute: 10,
        answer_within: Duration::from_secs(24 * 3_600),
        resend_policy: ResendPolicy::Resend,
        restart_schedule: None,
        qr_rotations: None,
        limits: ResourceLimits::default(),
        browser: BrowserSettings::default(),
        timing: TimingOverrides::default(),
        log_level: None,
    }
}

fn converse(tenant: &TenantSettings, messages: &[&str]) -> String {
    let mut transcript = String::new();
    for (nth, message) in messages.iter().enumerate() {
        let reply = Script::of(tenant).reply(message, nth == 0);
        writeln!(transcript, "> {message}\n{reply}\n").unwrap();
    }
    writeln!(transcript, "> (limit)\n{}", limit_warning(tenant, "hello")).unwrap();
    transcript
}

fn assert_golden(name: &str, transcript: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/template/golden").join(name);
    if std::env::var_os("ROOST_BLESS").is_some() {
        fs::write(&path, transcript).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(transcript, golden, "{name} differs");
}

/// Every item of the template by its number, then some by keyword, a greeting, nonsense and a photo.
fn assert_template(
    name: &str,
    template: TemplateKind,
    language: LanguageCode,
    items: usize,
    by_keyword: &[&str],
) {
    let tenant = tenant(template, language, Texts::default());
    let numbers: Vec<String> = (1..=items + 1).map(|number| number.to_string()).collect();
    let mut messages = vec!["1"];
    messages.extend(numbers.iter().map(String::as_str));
    messages.extend(by_keyword);
    messages.extend(["Hello!", "habari za asubuhi", "menu", "zzz", ""]);
    assert_golden(name, &converse(&tenant, &messages));
}

#[test]
fn booking_in_english() {
    let keywords = ["Hi, can I book for Friday?", "please CANCEL it", "Where are you?"];
    assert_template("booking-en.txt", TemplateKind::Booking, LanguageCode::En, 5, &keywords);
}

#[test]
fn booking_in_swahili() {
    let keywords = ["Nataka kuweka miadi", "naomba kuahirisha", "mko wapi?"];
    assert_template("booking-sw.txt", TemplateKind::Booking, LanguageCode::Sw, 5, &keywords);
}

#[test]
fn ecommerce_in_english() {
    let keywords = ["How much is it?", "I want a refund", "track my parcel"];
    assert_template("ecommerce-en.txt", TemplateKind::Ecommerce, LanguageCode::En, 6, &keywords);
}

#[test]
fn ecommerce_in_swahili() {
    let keywords = ["Bei ni shilingi ngapi?", "mzigo wangu umefika?", "nataka kununua"];
    assert_template("ecommerce-sw.txt", TemplateKind::Ecommerce, LanguageCode::Sw, 6, &keywords);
}

#[test]
fn support_in_english() {
    let keywords = ["it is not working", "my invoice please", "I want to talk to a person"];
    assert_template("support-en.txt", TemplateKind::Support, LanguageCode::En, 4, &keywords);
}

#[test]
fn support_in_swahili() {
    let keywords = ["nina shida", "nenosiri limepotea", "naomba kuongea na mhudumu"];
    assert_template("support-sw.txt", TemplateKind::Support, LanguageCode::Sw, 4, &keywords);
}

#[test]
fn the_business_own_words_take_the_place_of_the_template() {
    let item = |title: &str, reply: &str, keyword: &str| MenuItem {
        title: title.into(),
        reply: reply.into(),
        keywords: vec![keyword.into()],
    };
    let texts = Texts {
        greeting: "Karibu {business}!".into(),
        fallback: "We did not get \"{message}\".".into(),
        limit_warning: "Slowly, please.".into(),
        menu: vec![
            item("Pizza", "{business} bakes it in 20 minutes.", "margherita"),
            item("Juice", "Mango.", "juisi"),
        ],
    };
    let tenant = tenant(TemplateKind::Ecommerce, LanguageCode::En, texts);
    let messages = ["hi", "1", "a margherita, please", "juice", "order", "{business}", "3"];
    assert_golden("own-words.txt", &converse(&tenant, &messages));
}

#[test]
fn a_fallback_that_quotes_the_message_and_nothing_else_of_its_own_is_all_that_is_said() {
    let texts = Texts { fallback: "echo: {message}".into(), ..Texts::default() };
    let tenant = tenant(TemplateKind::Support, LanguageCode::En, texts);
    for (message, first) in
        [("hello", true), ("1", false), ("menu", false), ("", false), ("{business} {message}", true)]
    {
        assert_eq!(Script::of(&tenant).reply(message, first), format!("echo: {message}"));
    }
}

#[test]
fn a_fallback_that_quotes_nothing_leaves_greeting_and_menu_as_they_are() {
    let texts = Texts { fallback: "Call us.".into(), ..Texts::default() };
    let tenant = tenant(TemplateKind::Support, LanguageCode::En, texts);
    assert_eq!(Script::of(&tenant).reply("zzz", false), "Call us.");
    assert!(Script::of(&tenant).reply("zzz", true).contains("1. Report a problem"));
}
