//! Tenants in files, as `roost apply` reads them and `roost export` writes them.
//!
//! [`form`] is what a file says of one tenant; [`mod@file`] reads files and says where in them something is wrong;
//! `pm2` is what PM2's files mean.

pub mod file;
pub mod form;
mod pm2;
mod pm2_timing;
mod span;
mod timing;
