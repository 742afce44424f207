// The code of the quick start, for a gateway at `origin`. Pure; a test compares what matters with what clients need.

const KEY = "ONEINTERFACE_API_KEY";

export interface Snippet {
  caption: string;
  text: string;
}

export const exportKey = `export ${KEY}=oi_…`;

export const openaiPython = (origin: string): Snippet => ({
  caption: "Python: pip install openai",
  text: `import os
from openai import OpenAI

client = OpenAI(
    base_url="${origin}/v1",
    api_key=os.environ["${KEY}"],
)

response = client.chat.completions.create(
    model="gpt-4o",
    messages=[{"role": "user", "content": "Write a one-line haiku about APIs."}],
)

print(response.choices[0].message.content)`,
});

export const openaiNode = (origin: string): Snippet => ({
  caption: "Node.js: npm install openai",
  text: `import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "${origin}/v1",
  apiKey: process.env.${KEY},
});

const response = await client.chat.completions.create({
  model: "claude-sonnet-4-6",
  messages: [{ role: "user", content: "Summarize this pull request." }],
});

console.log(response.choices[0].message.content);`,
});

export const anthropicPython = (origin: string): Snippet => ({
  caption: "Python: pip install anthropic. The base URL has no /v1.",
  text: `import os
from anthropic import Anthropic

client = Anthropic(
    base_url="${origin}",
    api_key=os.environ["${KEY}"],
)

message = client.messages.create(
    model="gpt-4o",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Write a one-line haiku about APIs."}],
)

print(message.content[0].text)`,
});

export const anthropicNode = (origin: string): Snippet => ({
  caption: "Node.js: npm install @anthropic-ai/sdk. The base URL has no /v1.",
  text: `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({
  baseURL: "${origin}",
  apiKey: process.env.${KEY},
});

const message = await client.messages.create({
  model: "gpt-4o",
  max_tokens: 1024,
  messages: [{ role: "user", content: "Write a one-line haiku about APIs." }],
});

console.log(message.content[0].text);`,
});

export const curl = (origin: string): Snippet => ({
  caption: "A request",
  text: `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer $${KEY}" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "gpt-4o",
    "messages": [
      { "role": "user", "content": "Hello from One Interface" }
    ]
  }'`,
});

export const curlStream = (origin: string): Snippet => ({
  caption: "Streamed, with what it did cost in the last chunk",
  text: `curl -N ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer $${KEY}" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "gpt-4o",
    "stream": true,
    "stream_options": { "include_usage": true },
    "messages": [{ "role": "user", "content": "Count to ten." }]
  }'`,
});

export const cursor = (origin: string): Snippet => ({
  caption: "Cursor → Settings → Models → OpenAI API key → Override OpenAI base URL",
  text: `Base URL: ${origin}/v1
API key:  oi_…
Model:    gpt-4o, claude-sonnet-4-6, or any other id`,
});

export const claudeToken = (origin: string): Snippet => ({
  caption: "1. Everything on, and your own login set aside",
  text: `export ANTHROPIC_BASE_URL=${origin}
export ANTHROPIC_AUTH_TOKEN=$${KEY}
claude --model claude-sonnet-4-6`,
});

export const claudeBare = (origin: string): Snippet => ({
  caption: "2. Bare: the key alone, and the basic tools",
  text: `ANTHROPIC_API_KEY=$${KEY} ANTHROPIC_BASE_URL=${origin} \\
  claude --bare --model gpt-4o`,
});

export const claudeHelper = (origin: string): Snippet => ({
  caption: "Where a key is not to stand in the environment: ~/.claude/settings.json",
  text: `{
  "apiKeyHelper": "cat ~/.oneinterface-key",
  "env": { "ANTHROPIC_BASE_URL": "${origin}" }
}`,
});

export const claudeMcp = (origin: string): Snippet => ({
  caption: "3. As tools: every model and your account, beside Claude's own models",
  text: `claude mcp add --transport http -s user oneinterface ${origin}/mcp \\
  -H "Authorization: Bearer $${KEY}"
claude mcp list`,
});

export const codex = (origin: string): Snippet => ({
  caption: "~/.codex/config.toml",
  text: `model = "claude-sonnet-4-6"
model_provider = "oneinterface"

[model_providers.oneinterface]
name = "One Interface"
base_url = "${origin}/v1"
env_key = "${KEY}"
wire_api = "responses"`,
});
