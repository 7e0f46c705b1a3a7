//! Labels as they are given, and the choice of tenants by them.

/// `NAME=VALUE`, or `NAME-` for one that is to go.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub value: Option<String>,
}

impl Entry {
    pub fn parse(given: &str) -> Result<Self, String> {
        match (given.split_once('='), given.strip_suffix('-')) {
            (Some((name, value)), _) => Ok(Self { name: name.to_owned(), value: Some(value.to_owned()) }),
            (None, Some(name)) => Ok(Self { name: name.to_owned(), value: None }),
            (None, None) => Err("give NAME=VALUE, or NAME- to remove it".to_owned()),
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Only tenants that meet all of these, separated by commas: plan=pro, plan!=pro, plan (has it), !plan (has it not),
    /// status=running|stopped|error, node=ID.
    #[arg(short = 'l', long, value_name = "TERMS", default_value = "", hide_default_value = true)]
    pub selector: String,
}
