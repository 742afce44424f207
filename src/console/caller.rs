//! Who calls the account's API: its signed-in owner, or one of its keys.

use account::client::AccountClient;
use billing::ledger::{Answer, Command, Key, Permission};
use worker::Headers;

use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::inference::payer::Payer;
use crate::keys::{self, ApiKey};
use crate::routes::models::may_ask;
use crate::session::{self, Session};
use crate::{auth, d1, ids};

/// A caller whose account is known.
pub struct Caller {
    /// The account's object.
    pub client: AccountClient,
    /// Where the account lives.
    pub routing_id: String,
    who: Who,
}

enum Who {
    /// A key, and as the account knows it.
    Key(ApiKey, Box<Key>),
    /// The owner.
    Owner(Session),
}

impl Caller {
    /// The caller, who may do `permission`. Whether a session still counts the account says to whatever is asked of it
    /// next; where that is nothing, see [`Self::asked`].
    ///
    /// # Errors
    /// `invalid_api_key`: 401 without a session or a key, 403 when the key may not.
    pub async fn new(headers: &Headers, permission: Permission, context: &Context) -> Result<Self, ApiError> {
        Self::known(headers, Some(permission), context).await
    }

    /// The caller, whatever it may do. The account has been asked whether the key or the session still counts.
    ///
    /// # Errors
    /// `invalid_api_key` without a session or a key.
    pub async fn any(headers: &Headers, context: &Context) -> Result<Self, ApiError> {
        Self::asked(headers, None, context).await
    }

    /// The same, who may do `permission`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn asked(
        headers: &Headers,
        permission: impl Into<Option<Permission>>,
        context: &Context,
    ) -> Result<Self, ApiError> {
        let caller = Self::known(headers, permission.into(), context).await?;
        if caller.key().is_none() {
            caller.run(Command::Balance).await?;
        }
        Ok(caller)
    }

    /// The account's owner, who is signed in.
    ///
    /// # Errors
    /// `invalid_api_key` without a session, with a key too; `invalid_request` with 404 where there is no account.
    pub async fn owner(headers: &Headers, context: &Context) -> Result<Self, ApiError> {
        Self::of_session(session::of(headers, context).await?, context).await
    }

    /// The holder of an API key, who may do `permission`.
    ///
    /// # Errors
    /// `invalid_api_key`: 401 without a key, with a session too, 403 when the key may not.
    pub async fn of_key(
        headers: &Headers,
        permission: impl Into<Option<Permission>>,
        context: &Context,
    ) -> Result<Self, ApiError> {
        let key = auth::api_key(headers, context)?;
        let known = auth::authorize(&key, permission, context).await?;
        let client = context.account(&key.routing_id)?;
        Ok(Self { client, routing_id: key.routing_id.clone(), who: Who::Key(key, Box::new(known)) })
    }

    /// Who calls, by what the headers prove without the account: the tag of a key or the signature of a session. For
    /// what is done before the account is asked. Answers the name under which the caller's bodies are counted.
    ///
    /// # Errors
    /// `invalid_api_key`.
    pub async fn claimed(headers: &Headers, context: &Context) -> Result<String, ApiError> {
        if sends_key(headers)? {
            return Ok(auth::api_key(headers, context)?.routing_id);
        }
        Ok(session::of(headers, context).await?.user_id)
    }

    async fn known(headers: &Headers, permission: Option<Permission>, context: &Context) -> Result<Self, ApiError> {
        if sends_key(headers)? {
            return Self::of_key(headers, permission, context).await;
        }
        Self::owner(headers, context).await
    }

    async fn of_session(session: Session, context: &Context) -> Result<Self, ApiError> {
        let no_account = || {
            let sentence = "There is no account yet: POST /console/api/account first.";
            ApiError::new(Code::InvalidRequest, sentence).with_status(404)
        };
        let known = d1::accounts::find(&context.env.d1(d1::BINDING)?, &session.user_id).await?;
        let routing_id = ids::routing_id(&known.ok_or_else(no_account)?).ok_or_else(ApiError::internal)?.to_owned();
        let client = context.account(&routing_id)?.of_session(session.issued_at_s);
        Ok(Self { client, routing_id, who: Who::Owner(session) })
    }

    /// The digest of the key that calls, for commands that are done in somebody's name.
    #[must_use]
    pub fn by(&self) -> Option<String> {
        self.key().map(|key| key.digest.clone())
    }

    /// The key that calls; `None`: the owner.
    #[must_use]
    pub fn key(&self) -> Option<&ApiKey> {
        match &self.who {
            Who::Key(key, _) => Some(key),
            Who::Owner(_) => None,
        }
    }

    /// The session of the owner who calls; `None`: a key.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match &self.who {
            Who::Key(..) => None,
            Who::Owner(session) => Some(session),
        }
    }

    /// Who pays for what the caller has a model do.
    #[must_use]
    pub fn payer(&self) -> Payer<'_> {
        self.key().map_or(Payer::Owner { routing_id: &self.routing_id }, Payer::Key)
    }

    /// What the caller may do, and a key that it makes without naming anything.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        match &self.who {
            Who::Key(_, known) => known.permissions.clone(),
            Who::Owner(_) => Permission::ALL.to_vec(),
        }
    }

    /// Whether the caller may ask for the model, by the list of its key.
    #[must_use]
    pub fn may_ask(&self, model: &str) -> bool {
        match &self.who {
            Who::Key(_, known) => may_ask(known, model),
            Who::Owner(_) => true,
        }
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

/// Whether a request claims to come with a key, as opposed to a session.
fn sends_key(headers: &Headers) -> Result<bool, ApiError> {
    let is_key = |text: Option<String>| text.is_some_and(|text| keys::is_one(&text));
    Ok(is_key(auth::bearer(headers)?) || is_key(headers.get("x-api-key")?))
}
