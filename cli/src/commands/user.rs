//! `roost user`

use clap::Subcommand;
use roost_proto::v1::{
    CreateUserRequest, ListUsersRequest, RemoveUserRequest, ResetUserRequest, Role, SetUserRoleRequest,
};

use super::{Context, all_pages, consent::Consent};
use crate::{
    choices::UserRoleChoice,
    failure::Failure,
    views::{LinkView, NewUserView, UserView},
};

const HAND_OVER: &str = "hand the link over as you would a key: it is shown this once and used once";

#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Makes a user of the console, and prints the link by which that person comes in, this once.
    Create {
        /// The e-mail address under which that person signs in. Nothing is sent to it.
        email: String,
        /// What that person may do.
        #[arg(long, value_enum)]
        role: UserRoleChoice,
    },
    /// Lists the users of the console, and who is invited.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Gives a user another role, and signs that person out. Asks first.
    SetRole {
        email: String,
        #[arg(long, value_enum)]
        role: UserRoleChoice,
        #[command(flatten)]
        consent: Consent,
    },
    /// Ends what a person may do in the cluster, and a link to the same address, and signs that person out. Asks first.
    Remove {
        email: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Prints a link by which a user who has lost the password or the phone comes in anew, this once.
    Reset { email: String },
}

impl UserVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create { email, role } => {
                let request = CreateUserRequest { email, role: Role::from(role).into() };
                let made = context.admin()?.users().create_user(request).await?.into_inner();
                context.output.one(&NewUserView::from(made))?;
                context.output.note(HAND_OVER);
                Ok(())
            }
            Self::List { limit } => list(context, limit).await,
            Self::SetRole { email, role, consent } => {
                let role = Role::from(role);
                consent.obtain(&format!("give {email} another role"))?;
                let request = SetUserRoleRequest { email: email.clone(), role: role.into() };
                context.admin()?.users().set_user_role(request).await?;
                context.output.note(&format!("{email} has another role, and is signed out"));
                Ok(())
            }
            Self::Remove { email, consent } => {
                consent.obtain(&format!("remove {email} from the cluster"))?;
                let request = RemoveUserRequest { email: email.clone() };
                context.admin()?.users().remove_user(request).await?;
                context.output.note(&format!("{email} is a user of the cluster no more"));
                Ok(())
            }
            Self::Reset { email } => {
                let made =
                    context.admin()?.users().reset_user(ResetUserRequest { email }).await?.into_inner();
                context.output.one(&LinkView::from(made))?;
                context.output.note(HAND_OVER);
                Ok(())
            }
        }
    }
}

async fn list(context: &mut Context, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let users = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.users();
        async move {
            let page = client.list_users(ListUsersRequest { page_size, page_token }).await?.into_inner();
            Ok((page.users, page.next_page_token))
        }
    });
    let rows: Vec<_> = users.await?.into_iter().map(UserView::from).collect();
    context.output.list(&rows)
}
