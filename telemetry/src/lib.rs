//! How Roost's programs log: to stderr, as lines for people or as JSON for a log store.
//!
//! A program flattens [`LogArgs`] into its command line and calls [`LogArgs::init`] once. `RUST_LOG` chooses what is
//! logged, in the syntax of `tracing_subscriber::EnvFilter`; without it the program's own default does. Lines are coloured
//! on a terminal only, and not there either where `NO_COLOR` is set (<https://no-color.org>).

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal},
};

use clap::{Args, ValueEnum};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The settings of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct LogArgs {
    /// How log lines are written
    #[arg(long, env = "ROOST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Is shown what is logged, beside what writes the lines.
pub type Beside = Box<dyn Layer<Registry> + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// An object a line: `timestamp`, `level`, `target`, `message`, its fields beside them, and `spans`, outermost first
    Json,
}

impl LogFormat {
    /// As the option takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl LogArgs {
    /// Logs from now on. To be called once, from `main`.
    pub fn init(self, default_filter: &str) {
        self.start(default_filter, None);
    }

    /// The same, and another layer is beside what writes the lines. It is given the filter that those are under, and may
    /// be under another: what it wants to see is seen by it alone.
    pub fn init_with(self, default_filter: &str, beside: impl FnOnce(EnvFilter) -> Beside) {
        self.start(default_filter, Some(beside(chosen_filter(default_filter))));
    }

    fn start(self, default_filter: &str, beside: Option<Beside>) {
        let filter = chosen_filter(default_filter);
        let colours = is_coloured(io::stderr().is_terminal(), env::var_os("NO_COLOR").as_deref());
        subscriber(self.log_format, colours, filter, io::stderr, beside).init();
    }
}

fn chosen_filter(default_filter: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter))
}

fn is_coloured(on_terminal: bool, no_color: Option<&OsStr>) -> bool {
    on_terminal && no_color.is_none_or(OsStr::is_empty)
}

fn subscriber<W>(
    format: LogFormat,
    colours: bool,
    filter: EnvFilter,
    writer: W,
    beside: Option<Beside>,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let all = tracing_subscriber::registry().with(beside);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => Box::new(all.with(lines.with_ansi(colours).with_filter(filter))),
        LogFormat::Json => {
            let lines = lines.with_ansi(false).json().flatten_event(true).with_current_span(false);
            Box::new(all.with(lines.with_filter(filter)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, colours: bool) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(format, colours, EnvFilter::new("info"), move || writer.clone(), None);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(tenant = "asha", attempts = 3, "worker started");
            tracing::debug!("not of interest");
        });
        let bytes = written.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_an_object_a_line_with_the_fields_as_they_are() {
        let text = logged(LogFormat::Json, true);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["message"], "worker started");
        assert_eq!((&lines[0]["tenant"], &lines[0]["attempts"]), (&"asha".into(), &3.into()));
        assert!(lines[0]["timestamp"].is_string() && lines[0]["target"].is_string());
    }

    #[test]
    fn text_is_a_line_and_coloured_only_where_it_may_be() {
        let plain = logged(LogFormat::Text, false);
        assert!(plain.contains("worker started") && plain.contains("tenant=\"asha\""), "{plain}");
        assert!(!plain.contains('\u{1b}') && plain.lines().count() == 1, "{plain:?}");
        assert!(logged(LogFormat::Text, true).contains('\u{1b}'));
    }

    #[test]
    fn colours_are_for_terminals_where_nobody_has_refused_them() {
        assert!(is_coloured(true, None));
        assert!(is_coloured(true, Some(OsStr::new(""))));
        assert!(!is_coloured(true, Some(OsStr::new("1"))));
        assert!(!is_coloured(false, None));
    }

    #[test]
    fn the_format_is_an_option_with_a_name_for_each_value() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            log: LogArgs,
        }
        for format in [LogFormat::Text, LogFormat::Json] {
            let cli: Cli = clap::Parser::parse_from(["program", "--log-format", format.name()]);
            assert_eq!(cli.log.log_format, format);
        }
    }
}
