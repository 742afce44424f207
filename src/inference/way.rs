//! The ways in which a request can go: which upstream, in which dialect, with which body.

use catalog::{Dialect, LimitField, Model};
use dialect::canonical::{Encoded, Identity, Owner, Target};
use dialect::client::{ClientRequest, Pair};
use dialect::openai_chat::wire::{DEFAULT_LIMIT_FIELD, LIMIT_FIELDS};
use dialect::request::{Outgoing, RequestError};
use dialect::rewrite::Rewrite;

use super::terms::model_output;
use crate::context::Context;
use crate::keys;
use crate::upstream::{AnthropicHeaders, Call, Candidate, Exchange, Failure};

/// The word in a model's capabilities that says that it reasons.
const REASONS: &str = "reasoning";
/// The word in a model's capabilities that says that it takes Anthropic's adaptive thinking and efforts.
const ADAPTIVE: &str = "adaptive_thinking";

/// Whose the state is that an upstream makes in one of its dialects: a tag that does not tell which one it is.
/// What was signed in one dialect is nothing that the same upstream knows in another.
#[must_use]
pub fn owner_of(candidate: &Candidate<'_>, dialect: Dialect, context: &Context) -> Owner {
    let (upstream, dialect) = (&candidate.upstream.id, dialect.name());
    Owner::new(&keys::tag(&context.config.peppers, &format!("owner:{upstream}:{dialect}")))
}

/// One request on its way to one upstream.
pub struct Way<'a> {
    /// Where to.
    pub candidate: &'a Candidate<'a>,
    /// In which of its dialects, and whether bytes pass.
    pub pair: Pair,
    /// The body, and what it could not hold.
    pub encoded: Encoded,
    model: &'a Model,
    owner: Owner,
}

impl<'a> Way<'a> {
    /// Whether the upstream is asked in another dialect than the client's, or in its own words anew.
    #[must_use]
    pub fn is_translated(request: &ClientRequest<'_>, candidate: &Candidate<'_>, model: &Model) -> bool {
        let upstream = candidate.upstream;
        let reasons = model.capabilities.iter().any(|capability| capability == REASONS);
        let pairs = request.pairs(&upstream.dialects, upstream.responses_complete, reasons);
        pairs.first().is_some_and(|pair| !pair.passes)
    }

    /// The first of the upstream's dialects that can hold the request.
    ///
    /// # Errors
    /// [`RequestError`] of the best one, when none can.
    pub fn find(
        request: &ClientRequest<'_>,
        candidate: &'a Candidate<'a>,
        model: &'a Model,
        lowered_output: Option<u64>,
        context: &Context,
    ) -> Result<Self, RequestError> {
        let has = |word: &str| model.capabilities.iter().any(|capability| capability == word);
        let upstream = candidate.upstream;
        let limit_field = model.limit_field.map(LimitField::name).filter(|field| LIMIT_FIELDS.contains(field));
        let reasons = has(REASONS);
        let mut first_error = None;
        for pair in request.pairs(&upstream.dialects, upstream.responses_complete, reasons) {
            let owner = owner_of(candidate, pair.theirs, context);
            let outgoing = Outgoing {
                model: Some(candidate.route.model.as_str()).filter(|theirs| *theirs != model.id),
                lowered_output,
                limit_field,
                without_stream_options: !upstream.stream_options,
                owner: Some(&owner),
                passes: &upstream.passes,
            };
            let target = Target {
                model: &candidate.route.model,
                owner: &owner,
                reasons,
                adaptive_thinking: has(ADAPTIVE),
                lowered_output,
                max_output: model_output(model),
                limit_field: limit_field.unwrap_or(DEFAULT_LIMIT_FIELD),
                stream_options: upstream.stream_options,
            };
            match request.encode(pair, &outgoing, &target) {
                Ok(encoded) => return Ok(Self { candidate, pair, encoded, model, owner }),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| dialect::canonical::refused("model")))
    }

    /// Sends the request and waits for the headers of a success.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn send(&self, anthropic: &AnthropicHeaders, request: &ClientRequest<'_>) -> Result<Exchange, Failure> {
        let anthropic = AnthropicHeaders {
            version: Some(request.anthropic_version(anthropic.version.as_deref()).to_owned()),
            beta: anthropic.beta.clone().filter(|_| self.pair.passes),
        };
        let call = Call {
            dialect: self.pair.theirs,
            path: self.pair.theirs.path(),
            body: &self.encoded.body,
            stream: request.facts().stream,
            anthropic: &anthropic,
        };
        self.candidate.send(&call).await
    }

    /// Whether its usage tells cache writes for an hour from those for five minutes.
    #[must_use]
    pub fn tells_cache_writes(&self) -> bool {
        // A translation into another dialect sends no marks: what is written there is written as ever.
        self.pair.theirs == Dialect::AnthropicMessages || !self.pair.passes
    }

    /// What is changed in an answer that is passed on.
    #[must_use]
    pub fn rewrite(&self) -> Rewrite {
        Rewrite {
            model: (self.candidate.route.model != self.model.id).then(|| self.model.id.clone()),
            strip: self.candidate.upstream.strip.clone(),
            owner: Some(self.owner.clone()),
        }
    }

    /// What the answer is called.
    #[must_use]
    pub fn identity(&self, request: &ClientRequest<'_>, context: &Context) -> Identity {
        Identity {
            id: context.request_id.trim_start_matches("req_").to_owned(),
            created_s: context.started_ms.div_euclid(1_000),
            model: self.model.id.clone(),
            owner: self.owner.clone(),
            likely_input: request.facts().input.likely(self.model.vocabulary, self.model.image_tokens),
            vocabulary: self.model.vocabulary,
            include_usage: request.facts().include_usage,
            tool_names: request.tool_names(),
            echo: request.echo(),
        }
    }
}
