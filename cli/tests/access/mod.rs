//! Tokens, people and the audit: what they print.

use crate::golden;

#[tokio::test]
async fn tokens_and_the_audit_are_printed_as_golden() {
    golden(
        "access",
        &[
            &["token", "create", "ci", "--role", "operator"],
            &[
                "token",
                "create",
                "duka-bot",
                "--role",
                "processor",
                "--tenant",
                "duka",
                "--lifetime",
                "1year",
            ],
            &["token", "create", "ci", "--role", "operator", "-o", "json"],
            &["token", "create", "ci", "--role", "king"],
            &["token", "create", "ci"],
            &["token", "list"],
            &["token", "list", "--all"],
            &["token", "list", "--all", "-o", "json"],
            &["token", "revoke", "3"],
            &["token", "revoke", "3", "--yes"],
            &["token", "revoke", "9", "--yes"],
            &["token", "hash"],
            &["whoami"],
            &["whoami", "-o", "json"],
            &["member", "invite", "duka", "Asha@duka.example"],
            &["member", "invite", "duka", "juma@duka.example", "--role", "staff", "-o", "json"],
            &["member", "invite", "soko", "asha@duka.example"],
            &["member", "list", "duka"],
            &["member", "list", "duka", "-o", "json"],
            &["member", "remove", "duka", "juma@duka.example"],
            &["member", "remove", "duka", "juma@duka.example", "--yes"],
            &["member", "remove", "duka", "nobody@duka.example", "--yes"],
            &["member", "reset-password", "asha@duka.example"],
            &["user", "create", "Neema@roost.example", "--role", "admin"],
            &["user", "create", "zuri@roost.example", "--role", "owner"],
            &["user", "create", "zuri@roost.example", "--role", "viewer", "-o", "json"],
            &["user", "list"],
            &["user", "list", "-o", "json"],
            &["user", "set-role", "neema@roost.example", "--role", "operator", "--yes"],
            &["user", "remove", "neema@roost.example"],
            &["user", "remove", "neema@roost.example", "--yes"],
            &["user", "remove", "nobody@roost.example", "--yes"],
            &["user", "reset", "neema@roost.example"],
            &["audit", "list"],
            &["audit", "list", "--caller", "token ci", "-o", "json"],
        ],
    )
    .await;
}
