//! The OpenID provider (OpenID Connect Core 1.0, authorization code with PKCE, RFC 7636).
//!
//! What must hold: an ID token is believed only after its signature, issuer, audience, end and nonce were checked, and a
//! code is only of use together with the verifier that never left this server. What the provider says of itself is asked
//! for when it is first needed, and kept for a while: a provider that is away keeps nobody from starting the server.

use std::str::FromStr as _;
use std::sync::Arc;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreIdToken, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, AuthType, AuthorizationCode, Client, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndSessionUrl, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IdTokenClaims, IdTokenFields, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, RequestTokenError, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _, UserInfoClaims,
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::fetch::{Fetch, FetchError};
use super::person::{self, Person};
use crate::config;

/// How long what the provider said of itself is kept, keys included.
const KEPT_MS: u64 = 3_600_000;
/// Keys are asked for again when a token names an unknown one, but not more often than this.
const FRESH_MS: u64 = 1_000;
/// A provider that was away is not asked again at once: those who wait would only pile up.
const AWAY_MS: u64 = 2_000;
/// Requests to the provider under way. Past it people are told to try again.
const MAX_UNDER_WAY: usize = 32;
/// A longer ID token is not kept for the sign-out.
const MAX_HINT_BYTES: usize = 8_192;

/// Every claim that isn't one of the standard ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Others(Map<String, Value>);

impl AdditionalClaims for Others {}

type Tokens = StandardTokenResponse<
    IdTokenFields<
        Others,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

type OidcClient = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why somebody couldn't be signed in. What was wrong in detail is for the log, not for strangers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProviderError {
    /// It can't be reached, or is slow.
    #[error("the provider can't be reached: {0}")]
    Away(String),
    /// Too many wait for it.
    #[error("too many sign-ins are under way")]
    Busy,
    /// What it says makes no sense, or isn't for us.
    #[error("the provider's answer can't be used: {0}")]
    Wrong(String),
    /// It doesn't take the code.
    #[error("the provider did not take the code: {0}")]
    Refused(String),
    /// The ID token isn't good.
    #[error("the ID token is not valid: {0}")]
    BadToken(String),
}

/// The provider, once it has said what it is.
struct Known {
    client: OidcClient,
    end_session: Option<EndSessionUrl>,
    at_ms: u64,
}

#[derive(Default)]
struct Memory {
    known: Option<Arc<Known>>,
    away: Option<(u64, ProviderError)>,
}

/// A provider.
pub(super) struct Provider {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    scopes: Vec<Scope>,
    roles_claim: String,
    redirect: RedirectUrl,
    after_logout: PostLogoutRedirectUrl,
    fetch: Fetch,
    memory: RwLock<Memory>,
    under_way: Semaphore,
}

/// Where to send somebody who wants to sign in, and what to keep of it.
pub(super) struct Begun {
    pub(super) address: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// Somebody whom the provider knows.
#[derive(Debug)]
pub(super) struct SignedIn {
    pub(super) person: Person,
    pub(super) hint: Option<String>,
}

impl Provider {
    /// From the settings, which were checked: `None` where they name no provider.
    pub(super) fn new(console: &config::Console) -> Result<Option<Self>, String> {
        let (Some(issuer), Some(id), Some(own)) = (
            &console.oidc_issuer,
            &console.oidc_client_id,
            &console.public_url,
        ) else {
            return Ok(None);
        };
        let own = own.trim_end_matches('/');
        let wrong = |error: openidconnect::url::ParseError| error.to_string();
        let scopes = console.oidc_scopes.iter().cloned().map(Scope::new);
        Ok(Some(Self {
            issuer: IssuerUrl::new(issuer.clone()).map_err(wrong)?,
            client_id: ClientId::new(id.clone()),
            client_secret: console
                .oidc_client_secret
                .as_ref()
                .map(|secret| ClientSecret::new(secret.0.clone())),
            scopes: scopes.filter(|scope| scope.as_str() != "openid").collect(),
            roles_claim: console.roles_claim.clone(),
            redirect: RedirectUrl::new(format!("{own}/console/callback")).map_err(wrong)?,
            after_logout: PostLogoutRedirectUrl::new(format!("{own}/sign-in")).map_err(wrong)?,
            fetch: Fetch::new().map_err(|error| error.to_string())?,
            memory: RwLock::default(),
            under_way: Semaphore::new(MAX_UNDER_WAY),
        }))
    }

    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Where the browser goes, with a state, a nonce and a challenge that nobody had before.
    pub(super) async fn begin(&self, now_ms: u64) -> Result<Begun, ProviderError> {
        let _place = self.place()?;
        let known = self.known(now_ms, KEPT_MS).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (address, state, nonce) = known
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new_random_len(32),
                || Nonce::new_random_len(32),
            )
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        Ok(Begun {
            address: address.into(),
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        })
    }

    /// Turns a code into somebody.
    pub(super) async fn finish(
        &self,
        code: String,
        verifier: String,
        nonce: String,
        now_ms: u64,
    ) -> Result<SignedIn, ProviderError> {
        let _place = self.place()?;
        let known = self.known(now_ms, KEPT_MS).await?;
        let request = known
            .client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| ProviderError::Wrong(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let tokens = request.request_async(&self.fetch).await.map_err(exchange)?;
        let nonce = Nonce::new(nonce);
        let claims = match verified(&known.client, &tokens, &nonce) {
            // It may have new keys. One that is made up leads here too, so not each time.
            Err(_) if known.at_ms.saturating_add(FRESH_MS) <= now_ms => {
                let known = self.known(now_ms, FRESH_MS).await?;
                verified(&known.client, &tokens, &nonce)?
            }
            claims => claims?,
        };
        let mut all = to_value(&claims)?;
        if !person::names_roles(&all, &self.roles_claim) {
            self.add_user_info(&known.client, tokens.access_token(), &claims, &mut all)
                .await?;
        }
        let person = Person::of_claims(&all, &self.roles_claim)
            .ok_or_else(|| ProviderError::BadToken("its subject can't be used".into()))?;
        let hint = tokens.id_token().map(ToString::to_string);
        Ok(SignedIn {
            person,
            hint: hint.filter(|hint| hint.len() <= MAX_HINT_BYTES),
        })
    }

    /// Where the browser goes to sign out at the provider, if it offers that and is there.
    pub(super) async fn logout(&self, hint: Option<&str>, now_ms: u64) -> Option<String> {
        let known = self.known(now_ms, KEPT_MS).await.ok()?;
        let mut request = LogoutRequest::from(known.end_session.clone()?)
            .set_client_id(self.client_id.clone())
            .set_post_logout_redirect_uri(self.after_logout.clone());
        if let Some(hint) = hint.and_then(|hint| CoreIdToken::from_str(hint).ok()) {
            request = request.set_id_token_hint(&hint);
        }
        let url = request.http_get_url();
        // The browser is sent there: nothing else than a page may come of it.
        config::sections::console::is_safe(&url).then(|| url.into())
    }

    fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, ProviderError> {
        self.under_way
            .try_acquire()
            .map_err(|_| ProviderError::Busy)
    }

    /// What the provider says of itself, at most `max_age_ms` old. If it is away, what it said last.
    async fn known(&self, now_ms: u64, max_age_ms: u64) -> Result<Arc<Known>, ProviderError> {
        let before = {
            let memory = self.memory.read();
            let known = memory.known.clone();
            let young = |known: &Arc<Known>| now_ms < known.at_ms.saturating_add(max_age_ms);
            if let Some(known) = known.clone().filter(young) {
                return Ok(known);
            }
            if let Some((at_ms, error)) = &memory.away
                && now_ms < at_ms.saturating_add(AWAY_MS)
            {
                return known.ok_or_else(|| error.clone());
            }
            known
        };
        match self.discover(now_ms).await {
            Ok(known) => {
                let known = Arc::new(known);
                let mut memory = self.memory.write();
                memory.known = Some(Arc::clone(&known));
                memory.away = None;
                Ok(known)
            }
            Err(error) => {
                tracing::warn!(issuer = %self.issuer.as_str(), %error, "the OpenID provider could not be asked");
                self.memory.write().away = Some((now_ms, error.clone()));
                before.ok_or(error)
            }
        }
    }

    async fn discover(&self, now_ms: u64) -> Result<Known, ProviderError> {
        let metadata = ProviderMetadataWithLogout::discover_async(self.issuer.clone(), &self.fetch)
            .await
            .map_err(|error| match error {
                openidconnect::DiscoveryError::Request(error) => away(&error),
                openidconnect::DiscoveryError::Response(status, ..) if status.is_server_error() => {
                    ProviderError::Away(format!("it answers {status}"))
                }
                error => ProviderError::Wrong(error.to_string()),
            })?;
        let methods = metadata.token_endpoint_auth_methods_supported();
        let by_header = methods.is_none_or(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                || !methods.contains(&CoreClientAuthMethod::ClientSecretPost)
        });
        let end_session = metadata.additional_metadata().end_session_endpoint.clone();
        let client: OidcClient = Client::from_provider_metadata(
            metadata,
            self.client_id.clone(),
            self.client_secret.clone(),
        );
        let client = client
            .set_redirect_uri(self.redirect.clone())
            .set_auth_type(match by_header {
                true => AuthType::BasicAuth,
                false => AuthType::RequestBody,
            });
        Ok(Known {
            client,
            end_session,
            at_ms: now_ms,
        })
    }

    /// Adds what the provider tells only at its second address, as many do with roles and names.
    async fn add_user_info(
        &self,
        client: &OidcClient,
        token: &AccessToken,
        claims: &IdTokenClaims<Others, CoreGenderClaim>,
        all: &mut Value,
    ) -> Result<(), ProviderError> {
        // The subject must be the same (OpenID Connect Core section 5.3.2).
        let Ok(request) = client.user_info(token.clone(), Some(claims.subject().clone())) else {
            return Ok(());
        };
        let info: UserInfoClaims<Others, CoreGenderClaim> = request
            .request_async(&self.fetch)
            .await
            .map_err(|error| match error {
                openidconnect::UserInfoError::Request(error) => away(&error),
                error => ProviderError::Wrong(format!("user info: {error}")),
            })?;
        if let (Value::Object(all), Value::Object(info)) = (all, to_value(&info)?) {
            for (name, value) in info {
                all.entry(name).or_insert(value);
            }
        }
        Ok(())
    }
}

fn verified(
    client: &OidcClient,
    tokens: &Tokens,
    nonce: &Nonce,
) -> Result<IdTokenClaims<Others, CoreGenderClaim>, ProviderError> {
    let bad = |reason: String| ProviderError::BadToken(reason);
    let token = tokens
        .id_token()
        .ok_or_else(|| bad("there is none".into()))?;
    let verifier = client.id_token_verifier();
    let claims = token
        .claims(&verifier, nonce)
        .map_err(|error| bad(error.to_string()))?;
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token
            .signing_alg()
            .map_err(|error| bad(error.to_string()))?;
        let key = token
            .signing_key(&verifier)
            .map_err(|error| bad(error.to_string()))?;
        let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
            .map_err(|error| bad(error.to_string()))?;
        if actual != *expected {
            return Err(bad("it was made for another access token".into()));
        }
    }
    Ok(claims.clone())
}

fn to_value(claims: &impl Serialize) -> Result<Value, ProviderError> {
    serde_json::to_value(claims).map_err(|error| ProviderError::Wrong(error.to_string()))
}

fn away(error: &FetchError) -> ProviderError {
    match error {
        FetchError::Http(text) => ProviderError::Away(text.clone()),
        error => ProviderError::Wrong(error.to_string()),
    }
}

fn exchange(
    error: RequestTokenError<FetchError, StandardErrorResponse<CoreErrorResponseType>>,
) -> ProviderError {
    match error {
        RequestTokenError::Request(error) => away(&error),
        RequestTokenError::ServerResponse(error) => {
            ProviderError::Refused(error.error().as_ref().to_owned())
        }
        error => ProviderError::Wrong(error.to_string()),
    }
}
