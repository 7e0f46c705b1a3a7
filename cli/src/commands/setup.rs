//! `roost setup`

use clap::Subcommand;
use roost_proto::v1::{
    ApproveSetupRequestRequest, GetSetupRequestRequest, InviteApplicantRequest, ListSetupRequestsRequest,
    RejectSetupRequestRequest, ReviewSetupRequestRequest, SetupRequestState,
};

use super::{Context, all_pages};
use crate::{
    choices::SetupStateChoice,
    failure::Failure,
    views::{LinkView, SetupRequestView},
};

#[derive(Debug, Subcommand)]
pub enum SetupVerb {
    /// Invites somebody to ask for a business in the portal, and prints the link by which it is done, this once.
    Invite {
        /// The e-mail address under which that person signs in. Nothing is sent to it.
        email: String,
    },
    /// Lists what was asked for, newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_enum)]
        state: Option<SetupStateChoice>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Shows one with all that was asked for.
    Get {
        /// Of `roost setup list`.
        id: i64,
    },
    /// Says to whoever has asked that somebody looks at it.
    Review { id: i64 },
    /// Makes the business as it was asked for, makes whoever has asked its owner, and starts its worker.
    Approve {
        id: i64,
        /// The id of the tenant that is made. Of the business's name and the request's id unless it is given.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Declines it. Whoever has asked reads the reason, and may ask again.
    Reject {
        id: i64,
        /// Up to 500 characters.
        #[arg(long)]
        reason: String,
    },
}

impl SetupVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Invite { email } => {
                let request = InviteApplicantRequest { email };
                let made = context.admin()?.setups().invite_applicant(request).await?.into_inner();
                context.output.one(&LinkView::from(made))?;
                context
                    .output
                    .note("hand the link over as you would a key: it is shown this once and used once");
                Ok(())
            }
            Self::List { state, limit } => list(context, state, limit).await,
            Self::Get { id } => {
                let request = GetSetupRequestRequest { id };
                let found = context.admin()?.setups().get_setup_request(request).await?.into_inner();
                context.output.one(&SetupRequestView::from(found))
            }
            Self::Review { id } => {
                let request = ReviewSetupRequestRequest { id };
                let judged = context.admin()?.setups().review_setup_request(request).await?.into_inner();
                context.output.one(&SetupRequestView::from(judged))
            }
            Self::Approve { id, tenant } => {
                let request = ApproveSetupRequestRequest { id, tenant_id: tenant.unwrap_or_default() };
                let judged = context.admin()?.setups().approve_setup_request(request).await?.into_inner();
                context.output.one(&SetupRequestView::from(judged))
            }
            Self::Reject { id, reason } => {
                let request = RejectSetupRequestRequest { id, reason };
                let judged = context.admin()?.setups().reject_setup_request(request).await?.into_inner();
                context.output.one(&SetupRequestView::from(judged))
            }
        }
    }
}

async fn list(context: &mut Context, state: Option<SetupStateChoice>, limit: usize) -> Result<(), Failure> {
    let admin = context.admin()?;
    let state = state.map_or(SetupRequestState::Unspecified, Into::into).into();
    let requests = all_pages(Some(limit), |page_size, page_token| {
        let mut client = admin.setups();
        let request = ListSetupRequestsRequest { page_size, page_token, state };
        async move {
            let page = client.list_setup_requests(request).await?.into_inner();
            Ok((page.setup_requests, page.next_page_token))
        }
    });
    let rows: Vec<_> = requests.await?.into_iter().map(SetupRequestView::from).collect();
    context.output.list(&rows)
}
