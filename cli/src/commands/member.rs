//! `roost member`

use clap::Subcommand;
use roost_proto::v1::{
    CreatePasswordResetRequest, InviteMemberRequest, ListMembersRequest, RemoveMemberRequest, Role,
};

use super::{Context, all_pages, consent::Consent};
use crate::{
    choices::MemberRoleChoice,
    failure::Failure,
    views::{InvitationView, LinkView, MemberView},
};

#[derive(Debug, Subcommand)]
pub enum MemberVerb {
    /// Invites somebody to use the portal for a tenant, and prints the link by which it is done, this once.
    Invite {
        tenant: String,
        /// The e-mail address under which that person signs in. Nothing is sent to it.
        email: String,
        /// What that person may do.
        #[arg(long, value_enum, default_value = "owner")]
        role: MemberRoleChoice,
    },
    /// Lists the people of a tenant, and who is invited.
    List {
        tenant: String,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Ends a membership or an invitation, and signs that person out. Asks first.
    Remove {
        tenant: String,
        email: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Prints a link by which a person who has lost the password chooses another one, this once.
    ResetPassword { email: String },
}

impl MemberVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Invite { tenant, email, role } => {
                let request = InviteMemberRequest { tenant_id: tenant, email, role: Role::from(role).into() };
                let made = context.admin()?.members().invite_member(request).await?.into_inner();
                context.output.one(&InvitationView::from(made))?;
                context
                    .output
                    .note("hand the link over as you would a key: it is shown this once and used once");
                Ok(())
            }
            Self::List { tenant, limit } => list(context, tenant, limit).await,
            Self::Remove { tenant, email, consent } => {
                consent.obtain(&format!("remove {email} from {tenant}"))?;
                let request = RemoveMemberRequest { tenant_id: tenant.clone(), email: email.clone() };
                context.admin()?.members().remove_member(request).await?;
                context.output.note(&format!("{email} is of {tenant} no more"));
                Ok(())
            }
            Self::ResetPassword { email } => {
                let request = CreatePasswordResetRequest { email };
                let made = context.admin()?.members().create_password_reset(request).await?.into_inner();
                context.output.one(&LinkView::from(made))?;
                context
                    .output
                    .note("hand the link over as you would a key: it is shown this once and used once");
                Ok(())
            }
        }
    }
}

async fn list(context: &mut Context, tenant_id: String, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let members = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.members();
        let request = ListMembersRequest { tenant_id: tenant_id.clone(), page_size, page_token };
        async move {
            let page = client.list_members(request).await?.into_inner();
            Ok((page.members, page.next_page_token))
        }
    });
    let rows: Vec<_> = members.await?.into_iter().map(MemberView::from).collect();
    context.output.list(&rows)
}
