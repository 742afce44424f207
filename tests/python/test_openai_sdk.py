"""The openai package, as it comes from PyPI, against the Worker."""

import json
import re

import openai
import pytest

MESSAGES = [{"role": "user", "content": "Say hello."}]
DEMO = "This is One Interface's demo upstream, not {}. You said: Say hello."

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def models(server):
    return server["models"]


@pytest.fixture
def client(server):
    return client_of(server, server["key"])


def client_of(server, key, **options):
    """The SDK with its default settings; `client.attempts` lists the requests that it makes."""
    attempts = []
    http_client = openai.DefaultHttpxClient(event_hooks={"request": [attempts.append]})
    client = openai.OpenAI(api_key=key, base_url=f"{server['url']}/v1", http_client=http_client, **options)
    client.attempts = attempts
    return client


def test_whole(client, models):
    raw = client.chat.completions.with_raw_response.create(model=models["chat"], messages=MESSAGES)
    answer = raw.parse()
    assert answer.choices[0].message.content == DEMO.format("chat")
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    # $2 and $10 a million tokens, in nano-dollars a token.
    cost = usage.prompt_tokens * 2_000 + usage.completion_tokens * 10_000
    assert round(float(raw.headers["x-oneinterface-cost"]) * 1e9) == cost > 0
    assert re.fullmatch(r"req_[0-9a-v]{26}", answer._request_id)


def test_streamed_without_usage(client, models):
    chunks = list(client.chat.completions.create(model=models["chat"], messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == DEMO.format("chat")
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_streamed_with_usage(client, models):
    *chunks, last = client.chat.completions.create(
        model=models["chat"], messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert last.choices == []
    cost = last.usage.prompt_tokens * 2_000 + last.usage.completion_tokens * 10_000
    assert round(last.usage.cost * 1e9) == cost > 0


def test_a_model_with_another_name_upstream(client, models):
    answer = client.chat.completions.create(model=models["renamed"], messages=MESSAGES)
    assert answer.model == models["renamed"]
    assert answer.choices[0].message.content == DEMO.format("their-name")


def test_tools(client, models):
    answer = client.chat.completions.create(model=models["chat"], messages=MESSAGES, tools=[WEATHER])
    message = answer.choices[0].message
    (call,) = message.tool_calls
    assert (answer.choices[0].finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert list(json.loads(call.function.arguments)) == ["city"]

    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    answered = [*MESSAGES, message, result]
    second = client.chat.completions.create(model=models["chat"], messages=answered, tools=[WEATHER])
    assert second.choices[0].message.content.endswith("The tools answered: sunny")


def test_tools_streamed(client, models):
    with client.chat.completions.stream(model=models["chat"], messages=MESSAGES, tools=[WEATHER]) as stream:
        message = stream.get_final_completion().choices[0].message
    (call,) = message.tool_calls
    assert list(json.loads(call.function.arguments)) == ["city"]


def test_json_schema(client, models):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    response_format = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}}
    answer = client.chat.completions.create(model=models["chat"], messages=MESSAGES, response_format=response_format)
    person = json.loads(answer.choices[0].message.content)
    assert (type(person["name"]), type(person["age"])) == (str, int)


@pytest.mark.parametrize("stream", [False, True])
def test_two_choices(client, models, stream):
    expected = [f"{DEMO.format('chat')} (Answer {number} of 2.)" for number in (1, 2)]
    answer = client.chat.completions.create(model=models["chat"], messages=MESSAGES, n=2, stream=stream)
    if stream:
        texts = ["", ""]
        for chunk in answer:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    else:
        texts = [choice.message.content for choice in answer.choices]
    assert texts == expected


def test_embeddings(client, models):
    model = models["embed"]
    # Without encoding_format the SDK asks for base64 and decodes it.
    packed = client.embeddings.create(model=model, input="hello").data[0].embedding
    plain = client.embeddings.create(model=model, input="hello", encoding_format="float").data[0].embedding
    assert len(packed) == 1536
    assert packed == pytest.approx(plain, abs=1e-7)
    several = client.embeddings.create(model=model, input=["a", "b"], dimensions=8)
    assert [(item.index, len(item.embedding)) for item in several.data] == [(0, 8), (1, 8)]
    tokens = client.embeddings.create(model=model, input=[[1, 2], [3]])
    assert (len(tokens.data), tokens.usage.prompt_tokens) == (2, 3)


def test_models(client, models):
    listed = {model.id: model for model in client.models.list()}
    assert {models["chat"], models["renamed"], models["embed"]} <= listed.keys()
    assert client.models.retrieve(models["renamed"]) == listed[models["renamed"]]
    assert listed[models["chat"]].pricing["completion"] == "0.00001"


def refused(client, call, kind, status, code, attempts=1):
    """The exception, which must be of exactly this class and carry our envelope."""
    with pytest.raises(openai.APIStatusError) as caught:
        call(client)
    error = caught.value
    assert (type(error), error.status_code, error.code) == (kind, status, code)
    assert error.body["type"] == "oneinterface_error"
    assert error.request_id.startswith("req_")
    assert len(client.attempts) == attempts
    return error


def ask(model, **more):
    return lambda client: client.chat.completions.create(**{"model": model, "messages": MESSAGES, **more})


def test_bad_key(server, models):
    client = client_of(server, "oi_none")
    refused(client, ask(models["chat"]), openai.AuthenticationError, 401, "invalid_api_key")


def test_unknown_model(client, models):
    refused(client, ask(models["unknown"]), openai.NotFoundError, 404, "model_not_available")


def test_empty_balance(server, models):
    client = client_of(server, server["poor_key"])
    error = refused(client, ask(models["chat"]), openai.APIStatusError, 402, "insufficient_credit")
    assert error.response.headers["x-should-retry"] == "false"


def test_malformed_body(client, models):
    error = refused(client, ask(models["chat"], messages="hello"), openai.BadRequestError, 400, "invalid_request")
    assert error.param == "messages"


def test_upstream_down(client, models):
    refused(client, ask(models["down"]), openai.InternalServerError, 503, "upstream_unavailable", attempts=3)


def test_upstream_busy(server, models):
    client = client_of(server, server["key"], max_retries=0)
    error = refused(client, ask(models["busy"]), openai.RateLimitError, 429, "rate_limit_exceeded")
    assert error.response.headers["retry-after"] == "7"
