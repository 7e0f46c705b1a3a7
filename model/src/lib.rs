//! The words that every room shares: what a tenant is called, what it wants said, what kind of chat a message came from, when
//! its browser is restarted.
//!
//! Plain values that serde can write, without I/O and without a rule of the cluster. It imports nothing of ours and no
//! driver: the store keeps these types in columns of its own kind, the coordinator turns them into messages of the wire.
//!
//! Start reading at [`ids`]; [`tenant`] is what a responder needs to know of a business, [`message`] what it is asked, and [`restart_schedule`] when its browser is restarted.
//! [`causes()`] is how an error is told to people.

pub mod causes;
pub mod ids;
pub mod message;
pub mod mix;
pub mod restart_schedule;
pub mod tenant;

pub use causes::causes;
pub use message::ChatKind;
pub use mix::mix;
pub use restart_schedule::{RestartSchedule, ScheduleError, Timetable};
pub use tenant::{
    DEFAULT_ANSWER_WITHIN, DEFAULT_LANGUAGE, DEFAULT_REPLY_LIMIT, DEFAULT_TEMPLATE, LanguageCode, MenuItem,
    ResendPolicy, TemplateKind, TenantSettings, Texts,
};
