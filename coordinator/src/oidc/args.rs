//! Which provider, and who we are to it.

use std::{fs, path::PathBuf};

use clap::Args;
use openidconnect::{ClientId, ClientSecret, IssuerUrl};

use super::{
    fetch::{Fetch, is_private_enough},
    settings_error::OidcSettingsError,
};

#[derive(Debug, Clone, Default, Args)]
pub struct OidcArgs {
    /// Provider of OpenID Connect by which people may sign in to portal and console, as https://id.example; needs the two that follow
    #[arg(long, env = "ROOST_COORDINATOR_OIDC_ISSUER", requires_all = ["oidc_client_id", "oidc_client_secret_file"])]
    pub oidc_issuer: Option<String>,
    /// As what the provider knows this portal
    #[arg(long, env = "ROOST_COORDINATOR_OIDC_CLIENT_ID", requires = "oidc_issuer")]
    pub oidc_client_id: Option<String>,
    /// File of the secret that proves it, its owner's alone to read; read at each sign-in
    #[arg(long, env = "ROOST_COORDINATOR_OIDC_CLIENT_SECRET_FILE", requires = "oidc_issuer")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Authorities (PEM) by which the provider's certificate is signed, beside the system's
    #[arg(long, env = "ROOST_COORDINATOR_OIDC_CA_FILE", requires = "oidc_issuer")]
    pub oidc_ca_file: Option<PathBuf>,
}

/// What can be said before the provider is asked.
pub struct OidcSettings {
    pub(super) issuer: IssuerUrl,
    pub(super) client: ClientId,
    secret_file: PathBuf,
    pub(super) fetch: Fetch,
}

impl OidcSettings {
    /// None where no provider is named.
    pub fn open(args: &OidcArgs) -> Result<Option<Self>, OidcSettingsError> {
        let OidcArgs { oidc_issuer, oidc_client_id, oidc_client_secret_file, oidc_ca_file } = args.clone();
        let named = oidc_issuer.zip(oidc_client_id).zip(oidc_client_secret_file);
        let Some(((issuer, client), secret_file)) = named else { return Ok(None) };
        let issuer = IssuerUrl::new(issuer).map_err(|_| OidcSettingsError::Issuer)?;
        let url = issuer.url();
        let has_more = url.query().is_some() || url.fragment().is_some();
        if has_more || !url.username().is_empty() || !is_private_enough(url) {
            return Err(OidcSettingsError::Issuer);
        }
        let authorities = oidc_ca_file.map(|path| match fs::read(&path) {
            Ok(pem) => Ok((path, pem)),
            Err(source) => Err(OidcSettingsError::Unreadable { path, source }),
        });
        let fetch = Fetch::new(url, authorities.transpose()?)?;
        let settings = Self { issuer, client: ClientId::new(client), secret_file, fetch };
        settings.secret()?;
        Ok(Some(settings))
    }

    /// As the file says now, so that another one needs no start.
    pub(super) fn secret(&self) -> Result<ClientSecret, OidcSettingsError> {
        let text = roost_secrets::read(&self.secret_file)?;
        match text.trim() {
            "" => Err(OidcSettingsError::NoSecret),
            secret => Ok(ClientSecret::new(secret.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn opened(issuer: &str, secret: &str) -> Result<Option<OidcSettings>, OidcSettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, secret).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        OidcSettings::open(&OidcArgs {
            oidc_issuer: Some(issuer.into()),
            oidc_client_id: Some("roost".into()),
            oidc_client_secret_file: Some(path),
            oidc_ca_file: None,
        })
    }

    #[test]
    fn an_issuer_is_reached_by_tls_or_on_this_machine() {
        for issuer in [
            "https://id.example",
            "https://id.example/realms/roost",
            "http://127.0.0.1:8080",
            "http://[::1]:1/",
            "http://localhost",
        ] {
            assert!(opened(issuer, "sesame\n").unwrap().is_some(), "{issuer}");
        }
        for issuer in [
            "http://id.example",
            "http://127.0.0.1.evil.example",
            "ftp://127.0.0.1",
            "https://id.example?x",
            "https://id.example#x",
            "https://me@id.example",
            "id.example",
            "",
        ] {
            assert!(matches!(opened(issuer, "sesame"), Err(OidcSettingsError::Issuer)), "{issuer}");
        }
    }

    #[test]
    fn a_secret_is_needed_and_no_provider_is_none() {
        assert!(matches!(opened("https://id.example", " \n"), Err(OidcSettingsError::NoSecret)));
        assert!(OidcSettings::open(&OidcArgs::default()).unwrap().is_none());
    }
}
