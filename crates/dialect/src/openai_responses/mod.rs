//! OpenAI responses, as clients and upstreams speak them.
//! <https://platform.openai.com/docs/api-reference/responses>
