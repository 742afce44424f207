//! Who calls the account's API: its signed-in owner, or one of its keys.

use account::client::AccountClient;
use billing::ledger::{Answer, Command, Permission};
use worker::Headers;

use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::inference::payer::Payer;
use crate::keys::{self, ApiKey};
use crate::{auth, d1, ids, token};

/// A caller whose account is known.
pub struct Caller {
    /// The account's object.
    pub client: AccountClient,
    /// Where the account lives.
    pub routing_id: String,
    /// The key that calls, and what it may do; `None`: the owner.
    key: Option<(ApiKey, Vec<Permission>)>,
}

impl Caller {
    /// The caller, who may do `permission`.
    ///
    /// # Errors
    /// `invalid_api_key`: 401 without a session or a key, 403 when the key may not.
    pub async fn new(headers: &Headers, permission: Permission, context: &Context) -> Result<Self, ApiError> {
        Self::known(headers, Some(permission), context).await
    }

    /// The caller, whatever it may do.
    ///
    /// # Errors
    /// `invalid_api_key` without a session or a key.
    pub async fn any(headers: &Headers, context: &Context) -> Result<Self, ApiError> {
        Self::known(headers, None, context).await
    }

    async fn known(headers: &Headers, permission: Option<Permission>, context: &Context) -> Result<Self, ApiError> {
        let is_key = |text: Option<String>| text.is_some_and(|text| keys::is_one(&text));
        if is_key(auth::bearer(headers)?) || is_key(headers.get("x-api-key")?) {
            let key = auth::api_key(headers, context)?;
            let known = auth::authorize(&key, permission, context).await?;
            let client = context.account(&key.routing_id)?;
            return Ok(Self { client, routing_id: key.routing_id.clone(), key: Some((key, known.permissions)) });
        }
        let user_id = session_user(headers, context)?;
        let no_account =
            || ApiError::new(Code::InvalidRequest, "There is no account yet: POST /console/api/account first.");
        let account_id = d1::accounts::find(&context.env.d1(d1::BINDING)?, &user_id).await?.ok_or_else(no_account)?;
        let routing_id = ids::routing_id(&account_id).ok_or_else(ApiError::internal)?.to_owned();
        Ok(Self { client: context.account(&routing_id)?, routing_id, key: None })
    }

    /// The digest of the key that calls, for commands that are done in somebody's name.
    #[must_use]
    pub fn by(&self) -> Option<String> {
        self.key().map(|key| key.digest.clone())
    }

    /// The key that calls; `None`: the owner.
    #[must_use]
    pub fn key(&self) -> Option<&ApiKey> {
        self.key.as_ref().map(|(key, _)| key)
    }

    /// Who pays for what the caller has a model do.
    #[must_use]
    pub fn payer(&self) -> Payer<'_> {
        self.key().map_or(Payer::Owner { routing_id: &self.routing_id }, Payer::Key)
    }

    /// What the caller may do, and a key that it makes without naming anything.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        self.key.as_ref().map_or_else(|| Permission::ALL.to_vec(), |(_, permissions)| permissions.clone())
    }

    /// Runs a command in the account.
    ///
    /// # Errors
    /// What a refusal means to the caller.
    pub async fn run(&self, command: Command) -> Result<Answer, ApiError> {
        let result = self.client.call(command).await.map_err(auth::unanswered)?;
        result.map_err(|refusal| auth::refused(&refusal))
    }
}

/// The signed-in user.
///
/// # Errors
/// `invalid_api_key`.
pub fn session_user(headers: &Headers, context: &Context) -> Result<String, ApiError> {
    let refused = || ApiError::new(Code::InvalidApiKey, "Sign in to use the console.");
    let sessions = context.config.sessions.as_ref().ok_or_else(refused)?;
    let bearer = auth::bearer(headers)?.ok_or_else(refused)?;
    token::session_user(&bearer, sessions, context.started_ms).map_err(|_| refused())
}
