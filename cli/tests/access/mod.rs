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
            &["setup", "invite", "asha@duka.example"],
            &["setup", "list"],
            &["setup", "list", "--state", "rejected", "-o", "json"],
            &["setup", "get", "7"],
            &["setup", "get", "9"],
            &["setup", "review", "7"],
            &["setup", "approve", "7"],
            &["setup", "approve", "7", "--tenant", "duka", "-o", "json"],
            &["setup", "reject", "7"],
            &["setup", "reject", "7", "--reason", "the number is not on WhatsApp"],
            &["audit", "list"],
            &["audit", "list", "--caller", "token ci", "-o", "json"],
        ],
    )
    .await;
}
