//! The words that every room shares: what a tenant is called, what it wants said, what kind of chat a message came from, when
//! its browser is restarted and what it says that it is.
//!
//! Plain values that serde can write, without I/O and without a rule of the cluster. It imports nothing of ours and no
//! driver: the store keeps these types in columns of its own kind, the coordinator turns them into messages of the wire.
//!
//! Start reading at [`ids`]; [`tenant`] is what a responder needs to know of a business, [`message`] what it is asked, [`message_id`] by what its replies are known, [`restart_schedule`] when its browser is restarted,
//! [`browser`] what that says that it is, [`proxy`] by which way it goes, [`limits`] what it may take of its node,
//! [`worker_timing`] how often and how soon its worker does what it does, [`log_level`] how much of it is logged, and [`access`] what a
//! caller may be.
//! [`causes()`] is how an error is told to people.

pub mod access;
pub mod browser;
pub mod causes;
pub mod ids;
pub mod limits;
pub mod log_level;
pub mod message;
pub mod message_id;
pub mod mix;
pub mod proxy;
pub mod restart_schedule;
pub mod tenant;
pub mod worker_timing;

pub use access::{Grant, GrantError, Role};
pub use browser::{BrowserSettingError, BrowserSettings};
pub use causes::causes;
pub use limits::{ResourceLimits, ResourceUsage};
pub use log_level::LogLevel;
pub use message::ChatKind;
pub use message_id::sent_message_id;
pub use mix::mix;
pub use proxy::{NotAProxy, Proxy, ProxyLogin, ProxyPlace, ProxyScheme};
pub use restart_schedule::{RestartSchedule, ScheduleError, Timetable};
pub use tenant::{
    DEFAULT_ANSWER_WITHIN, DEFAULT_LANGUAGE, DEFAULT_REPLY_LIMIT, DEFAULT_TEMPLATE, LanguageCode, MenuItem,
    ResendPolicy, TemplateKind, TenantSettings, Texts,
};
pub use worker_timing::{TimingError, TimingOverrides};
