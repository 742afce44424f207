"""The mcp package, as it comes from PyPI, against /mcp: it checks what tools say against their schemas."""

import asyncio

import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

HELLO = {"model": "chat", "messages": [{"role": "user", "content": "Say hello."}]}


def run(server, mode, use):
    """Runs `use` with a client that is connected in `mode`."""

    async def session():
        http = create_mcp_http_client(headers={"authorization": f"Bearer {server['key']}"})
        async with Client(streamable_http_client(f"{server['url']}/mcp", http_client=http), mode=mode) as client:
            await use(client)

    asyncio.run(session())


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
def test_all_seven_tools(server, mode):
    async def use(client):
        assert len((await client.list_tools()).tools) == 7

        async def say(tool, **arguments):
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result
            return result.structured_content

        assert "You said: Say hello." in (await say("chat_completion", **HELLO))["text"]
        assert (await say("get_balance"))["balance_usd"].startswith("9.")
        assert len((await say("list_models", limit=2))["models"]) == 2
        made = await say("create_api_key", name=f"python {mode}")
        assert made["id"] in [key["id"] for key in (await say("list_api_keys"))["keys"]]
        assert (await say("revoke_api_key", id=made["id"]))["revoked"] == [made["id"]]
        assert "requests" in await say("get_usage", days=1)
        wrong = await client.call_tool("get_usage", {"days": 1000})
        assert wrong.is_error
        assert wrong.content[0].text.endswith("the field `days` must be a whole number from 1 to 90.")

    run(server, mode, use)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_progress_resources_and_prompts(server, mode):
    async def use(client):
        heard = []

        async def progress(reached, total, message):
            heard.append((reached, message))

        result = await client.call_tool("chat_completion", HELLO, progress_callback=progress)
        assert "".join(message or "" for _, message in heard) == result.structured_content["text"]
        assert heard == sorted(heard, key=lambda one: one[0])
        assert [one.name for one in (await client.list_resources()).resources] == ["models", "usage"]
        assert '"chat"' in (await client.read_resource("oneinterface://models/chat")).contents[0].text
        prompt = await client.get_prompt("choose_model", {"task": "haiku"})
        assert "task: haiku" in prompt.messages[0].content.text
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource("oneinterface://models/nobody")

    run(server, mode, use)
