//! A client's request, and its way to an upstream of any dialect and back: the one place that knows
//! which pairs there are.
//!
//! The one rule: where both sides speak the same dialect the bytes pass, else everything goes through
//! the pivot.

use std::cell::OnceCell;

use crate::Dialect;
use crate::anthropic_messages::{self as messages, wire::MessagesRequest};
use crate::canonical::{Answer, Decode, Encode, Encoded, Identity, Losses, Request, Target, ToolNames};
use crate::envelope::Envelope;
use crate::openai_chat::{self as chat, wire::ChatRequest};
use crate::openai_completions::{self as completions, wire::CompletionRequest};
use crate::openai_embeddings::{self as embeddings, wire::EmbeddingsRequest};
use crate::openai_responses::{self as responses, wire::ResponsesRequest};
use crate::relay::Relay;
use crate::request::{Facts, Outgoing, RequestError};
use crate::rewrite::{NotAnAnswer, Passed, Rewrite};
use crate::sse::Frame;
use crate::tokens::{Figures, Vocabulary};
use crate::translate::{Count, Translation};

/// What an upstream speaks, and how its answers reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The dialect in which the upstream is asked.
    pub theirs: Dialect,
    /// Whether bytes pass in both directions, instead of going through the pivot.
    pub passes: bool,
}

/// A request of a client.
pub struct ClientRequest<'a> {
    wire: Wire<'a>,
    /// Decoded at most once, whatever the number of upstreams that it is encoded for.
    decoded: OnceCell<Result<Request, RequestError>>,
}

enum Wire<'a> {
    Chat(ChatRequest<'a>),
    /// The body of a responses request, sent to chat completions (Cursor): answered as those.
    ChatOfResponses(ResponsesRequest<'a>),
    Completions(CompletionRequest<'a>),
    Responses(ResponsesRequest<'a>),
    Messages(MessagesRequest<'a>),
    Embeddings(EmbeddingsRequest<'a>),
}

/// How a client writes answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Chat,
    Completions,
    Responses,
    Messages,
}

impl<'a> ClientRequest<'a> {
    /// Reads a body of `POST /v1/chat/completions`.
    ///
    /// # Errors
    /// [`RequestError`]; so do the other four.
    pub fn chat(body: &'a str) -> Result<Self, RequestError> {
        if chat::mixed::is_responses_body(&Envelope::parse(body)?) {
            return Ok(Self::of(Wire::ChatOfResponses(ResponsesRequest::parse(body)?)));
        }
        Ok(Self::of(Wire::Chat(ChatRequest::parse(body)?)))
    }

    /// Reads a body of `POST /v1/completions`.
    ///
    /// # Errors
    /// As [`Self::chat`].
    pub fn completions(body: &'a str) -> Result<Self, RequestError> {
        Ok(Self::of(Wire::Completions(CompletionRequest::parse(body)?)))
    }

    /// Reads a body of `POST /v1/responses`.
    ///
    /// # Errors
    /// As [`Self::chat`].
    pub fn responses(body: &'a str) -> Result<Self, RequestError> {
        Ok(Self::of(Wire::Responses(ResponsesRequest::parse(body)?)))
    }

    /// Reads a body of `POST /v1/messages`.
    ///
    /// # Errors
    /// As [`Self::chat`].
    pub fn messages(body: &'a str) -> Result<Self, RequestError> {
        Ok(Self::of(Wire::Messages(MessagesRequest::parse(body)?)))
    }

    /// Reads a body of `POST /v1/embeddings`.
    ///
    /// # Errors
    /// As [`Self::chat`].
    pub fn embeddings(body: &'a str) -> Result<Self, RequestError> {
        Ok(Self::of(Wire::Embeddings(EmbeddingsRequest::parse(body)?)))
    }

    fn of(wire: Wire<'a>) -> Self {
        Self { wire, decoded: OnceCell::new() }
    }

    /// What the gateway decides on.
    #[must_use]
    pub fn facts(&self) -> &Facts<'a> {
        match &self.wire {
            Wire::Chat(request) => &request.facts,
            Wire::Completions(request) => &request.facts,
            Wire::ChatOfResponses(request) | Wire::Responses(request) => &request.facts,
            Wire::Messages(request) => &request.facts,
            Wire::Embeddings(request) => &request.facts,
        }
    }

    /// Whether the answer is text, rather than vectors.
    #[must_use]
    pub fn generates(&self) -> bool {
        !matches!(self.wire, Wire::Embeddings(_))
    }

    /// The dialect in which upstreams are asked first.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.wire {
            Wire::Chat(_) | Wire::ChatOfResponses(_) | Wire::Completions(_) => Dialect::OpenaiChat,
            Wire::Responses(_) => Dialect::OpenaiResponses,
            Wire::Messages(_) => Dialect::AnthropicMessages,
            Wire::Embeddings(_) => Dialect::OpenaiEmbeddings,
        }
    }

    /// The dialects in which an upstream that speaks `theirs` can be asked, the best first: the client's
    /// own, then the one that holds most. `reasons`: the model keeps reasoning between turns, which
    /// chat completions cannot carry.
    #[must_use]
    pub fn pairs(&self, theirs: &[Dialect], responses_complete: bool, reasons: bool) -> Vec<Pair> {
        let own = self.dialect();
        let pair = |dialect| self.pair(dialect, responses_complete);
        if own.embeds() {
            return theirs.iter().copied().filter(|dialect| *dialect == own).map(pair).collect();
        }
        let place = |dialect: &Dialect| match dialect {
            dialect if *dialect == own && (*dialect != Dialect::OpenaiResponses || responses_complete) => 0,
            Dialect::AnthropicMessages => 1,
            Dialect::OpenaiResponses if responses_complete && reasons => 2,
            Dialect::OpenaiChat => 3,
            // Its stream may lack events, but it is read, not passed on.
            Dialect::OpenaiResponses | Dialect::OpenaiEmbeddings => 4,
        };
        let mut ways: Vec<Dialect> = theirs.iter().copied().filter(|dialect| !dialect.embeds()).collect();
        ways.sort_by_key(place);
        ways.into_iter().map(pair).collect()
    }

    /// How an upstream is asked in `theirs`. `responses_complete`: its responses have all that OpenAI's
    /// have; those of others are not passed on but written anew.
    #[must_use]
    pub fn pair(&self, theirs: Dialect, responses_complete: bool) -> Pair {
        let passes = match &self.wire {
            Wire::Chat(request) => theirs == Dialect::OpenaiChat && !request.mixed,
            Wire::Responses(_) => theirs == Dialect::OpenaiResponses && responses_complete,
            Wire::Messages(_) => theirs == Dialect::AnthropicMessages,
            Wire::Embeddings(_) => theirs == Dialect::OpenaiEmbeddings,
            Wire::ChatOfResponses(_) | Wire::Completions(_) => false,
        };
        Pair { theirs, passes }
    }

    /// The `anthropic-version` for an upstream that is asked in Anthropic's dialect by a client that sent
    /// `theirs`.
    #[must_use]
    pub fn anthropic_version(&self, theirs: Option<&str>) -> &'static str {
        match &self.wire {
            Wire::Messages(request) => messages::wire::version(theirs, request.has_sampling()),
            // What we write is of the version that takes sampling fields.
            _ => messages::wire::version(None, true),
        }
    }

    /// The body for an upstream.
    ///
    /// # Errors
    /// [`RequestError`] where the dialect cannot hold what the request means.
    pub fn encode(&self, pair: Pair, outgoing: &Outgoing<'_>, target: &Target<'_>) -> Result<Encoded, RequestError> {
        if pair.passes {
            let (body, losses) = match &self.wire {
                Wire::Chat(request) => request.pass_through(outgoing)?,
                Wire::Responses(request) => request.pass_through(outgoing)?,
                Wire::Messages(request) => request.pass_through(outgoing)?,
                Wire::Embeddings(request) => request.pass_through(outgoing)?,
                Wire::ChatOfResponses(_) | Wire::Completions(_) => (String::new(), Losses::default()),
            };
            return Ok(Encoded { body, losses });
        }
        let request = self.decoded()?;
        match pair.theirs {
            Dialect::OpenaiChat => chat::encode::encode(request, target),
            Dialect::OpenaiResponses => responses::encode::encode(request, target),
            Dialect::AnthropicMessages => messages::encode::encode(request, target),
            Dialect::OpenaiEmbeddings => Err(crate::canonical::refused("model")),
        }
    }

    /// The client's names of its tools, where upstreams are told others.
    #[must_use]
    pub fn tool_names(&self) -> ToolNames {
        match self.decoded.get() {
            Some(Ok(request)) => request.tool_names.clone(),
            _ => ToolNames::default(),
        }
    }

    /// What the answer repeats of the request, see [`Identity::echo`].
    #[must_use]
    pub fn echo(&self) -> Vec<(String, String)> {
        if let Wire::Responses(request) = &self.wire { request.echo() } else { Vec::new() }
    }

    /// A stream from an upstream.
    #[must_use]
    pub fn relay(&self, pair: Pair, rewrite: Rewrite, identity: Identity) -> Box<dyn Relay> {
        let (answers, vocabulary) = (self.answers(), identity.vocabulary);
        if pair.passes {
            match answers {
                Answers::Chat => {
                    return Box::new(chat::relay::PassThrough::new(self.facts().include_usage, rewrite, vocabulary));
                }
                Answers::Responses => return Box::new(responses::relay::PassThrough::new(rewrite, vocabulary)),
                Answers::Messages => {
                    return Box::new(messages::relay::PassThrough::new(identity.likely_input, rewrite, vocabulary));
                }
                Answers::Completions => {}
            }
        }
        let owner = identity.owner.clone();
        let decoder: Box<dyn Decode> = match pair.theirs {
            Dialect::AnthropicMessages => Box::new(messages::stream::Decoder::new(owner)),
            Dialect::OpenaiResponses => Box::new(responses::stream::Decoder::new(owner)),
            Dialect::OpenaiChat | Dialect::OpenaiEmbeddings => Box::new(chat::stream::Decoder::new(owner)),
        };
        let encoder: Box<dyn Encode> = match answers {
            Answers::Chat => Box::new(chat::stream::Encoder::new(identity)),
            Answers::Completions => Box::new(completions::stream::Encoder::new(identity)),
            Answers::Responses => Box::new(responses::stream::Encoder::new(identity)),
            Answers::Messages => Box::new(messages::stream::Encoder::new(identity)),
        };
        Box::new(Translation::new(decoder, encoder, vocabulary))
    }

    /// A whole answer of an upstream, and what of it the client cannot be told.
    ///
    /// # Errors
    /// [`NotAnAnswer`].
    pub fn read(
        &self,
        pair: Pair,
        body: &str,
        rewrite: &Rewrite,
        identity: &Identity,
    ) -> Result<(Passed, Losses), NotAnAnswer> {
        let vocabulary = identity.vocabulary;
        if pair.passes {
            let passed = match &self.wire {
                Wire::Responses(_) => responses::answer::read(body, rewrite, vocabulary),
                Wire::Messages(_) => messages::answer::read(body, rewrite, vocabulary),
                Wire::Embeddings(request) => embeddings::answer::read(body, request.encoding, rewrite),
                Wire::Chat(_) | Wire::ChatOfResponses(_) | Wire::Completions(_) => {
                    chat::answer::read(body, rewrite, vocabulary)
                }
            };
            return Ok((passed?, Losses::default()));
        }
        let mut answer = match pair.theirs {
            Dialect::AnthropicMessages => messages::answer::decode(body, &identity.owner),
            Dialect::OpenaiResponses => responses::answer::decode(body, &identity.owner),
            Dialect::OpenaiChat | Dialect::OpenaiEmbeddings => chat::answer::decode(body, &identity.owner),
        }?;
        let visible = visible(&answer, vocabulary);
        let usage = answer.usage;
        if let Some(reported) = answer.usage.as_mut().filter(|reported| reported.lacks_output) {
            reported.usage.output = visible.estimate;
        }
        let (body, mut losses) = match self.answers() {
            Answers::Chat => chat::answer::encode(&answer, identity),
            Answers::Completions => completions::answer::encode(&answer, identity),
            Answers::Responses => responses::answer::encode(&answer, identity),
            Answers::Messages => messages::answer::encode(&answer, identity),
        };
        losses.merge(&answer.losses);
        Ok((Passed { usage, visible, body }, losses))
    }

    /// A stream that failed before anything had come of it, as its client is told.
    #[must_use]
    pub fn failed_stream(&self) -> Vec<u8> {
        match self.answers() {
            Answers::Chat | Answers::Completions => Frame::data_line(&chat::error::broken_stream()).into_raw(),
            Answers::Responses => responses::error::failed_stream(),
            Answers::Messages => messages::error::event(500, &messages::error::BROKE_OFF).into_bytes(),
        }
    }

    fn decoded(&self) -> Result<&Request, RequestError> {
        let decoded = self.decoded.get_or_init(|| match &self.wire {
            Wire::Chat(request) => request.decode(),
            Wire::Completions(request) => request.decode(),
            Wire::ChatOfResponses(request) | Wire::Responses(request) => request.decode(),
            Wire::Messages(request) => request.decode(),
            Wire::Embeddings(_) => Err(crate::canonical::refused("model")),
        });
        decoded.as_ref().map_err(Clone::clone)
    }

    fn answers(&self) -> Answers {
        match self.wire {
            Wire::Chat(_) | Wire::ChatOfResponses(_) | Wire::Embeddings(_) => Answers::Chat,
            Wire::Completions(_) => Answers::Completions,
            Wire::Responses(_) => Answers::Responses,
            Wire::Messages(_) => Answers::Messages,
        }
    }
}

/// What an answer shows, in tokens.
fn visible(answer: &Answer, vocabulary: Vocabulary) -> Figures {
    let mut count = Count::new(vocabulary);
    answer.events().iter().for_each(|event| count.read(event));
    count.meter().visible
}
