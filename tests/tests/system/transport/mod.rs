//! The ways between the parts of a cluster when they are closed: etcd with a user, PostgreSQL with a password from a file and with
//! certificates, coordinators and nodes with certificates, and all of it together.

mod database;
mod etcd;
mod nodes;
mod whole;
