//! Tokens and the audit: what they print.

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
            &["audit", "list"],
            &["audit", "list", "--caller", "token ci", "-o", "json"],
        ],
    )
    .await;
}
