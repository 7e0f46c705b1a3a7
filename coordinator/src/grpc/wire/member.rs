//! The people of a business.

use roost_proto::v1;
use roost_store::{Member, Standing};

use super::{access::role, timestamp};

pub fn member(row: Member) -> v1::Member {
    let (join_time, invitation_expire_time) = match row.standing {
        Standing::Joined { at } => (Some(timestamp(at)), None),
        Standing::Invited { until } => (None, Some(timestamp(until))),
    };
    v1::Member {
        tenant_id: row.tenant.into(),
        email: row.email,
        role: role(row.role).into(),
        invited_by: row.invited_by,
        join_time,
        invitation_expire_time,
    }
}
