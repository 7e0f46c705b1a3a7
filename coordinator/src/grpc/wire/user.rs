//! Users of the cluster.

use roost_proto::v1;
use roost_store::ClusterUser;

use super::{access::role, timestamp};

pub fn user(row: ClusterUser) -> v1::User {
    v1::User {
        email: row.email,
        role: role(row.role).into(),
        role_given_by: row.given_by,
        role_time: row.since.map(timestamp),
        link_expire_time: row.link_until.map(timestamp),
        has_second_factor: row.has_second_factor,
    }
}
