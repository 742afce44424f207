// The quick start, with the reader's own base URL in every line.
import "./docs.css";
import * as Tabs from "@radix-ui/react-tabs";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link, useSearchParams } from "wouter";
import { configQuery } from "../../api/queries.ts";
import { Page } from "../../shell/page.tsx";
import { Code } from "../../ui/copy.tsx";
import * as snippets from "./snippets.ts";

type Make = (origin: string) => snippets.Snippet;

interface Tool {
  id: string;
  name: string;
  intro?: ReactNode;
  code: Make[];
  outro?: ReactNode;
}

const TOOLS: Tool[] = [
  {
    id: "openai",
    name: "OpenAI SDK",
    code: [snippets.openaiPython, snippets.openaiNode],
    outro: <p>The same client speaks the responses API and embeddings, to every model that has them.</p>,
  },
  {
    id: "anthropic",
    name: "Anthropic SDK",
    code: [snippets.anthropicPython, snippets.anthropicNode],
    outro: <p>Every model answers in Anthropic's messages, not Claude's alone.</p>,
  },
  { id: "curl", name: "cURL", code: [snippets.curl, snippets.curlStream] },
  {
    id: "cursor",
    name: "Cursor",
    code: [snippets.cursor],
    outro: (
      <p>
        Cursor calls from its own servers, so it needs a gateway that the internet can reach. Other tools that take an
        OpenAI-compatible provider want the same three lines.
      </p>
    ),
  },
  {
    id: "claude-code",
    name: "Claude Code",
    intro: (
      <p>
        Three ways. The first two have Claude Code's own requests go through One Interface; the third leaves them as
        they are, and adds tools.
      </p>
    ),
    code: [snippets.claudeToken, snippets.claudeBare, snippets.claudeMcp, snippets.claudeHelper],
    outro: (
      <p>
        Claude Code takes a model that it does not know for one of a million tokens;{" "}
        <code>CLAUDE_CODE_AUTO_COMPACT_WINDOW</code> sets the real window. With{" "}
        <code>CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY=1</code> its <code>/model</code> lists the Claude models of the
        gateway.
      </p>
    ),
  },
  {
    id: "codex",
    name: "Codex",
    code: [snippets.codex],
    outro: (
      <p>
        Then <code>codex</code> finds the key in the environment. <code>model_context_window</code> in the same file
        tells it the window of a model that it does not know.
      </p>
    ),
  },
];

const FIRST = "openai";

export default function Docs() {
  const config = useQuery(configQuery());
  const [params, setParams] = useSearchParams();
  const asked = params.get("tool");
  const tool = TOOLS.some(({ id }) => id === asked) ? (asked ?? FIRST) : FIRST;
  const origin = (config.data?.base_url || location.origin).replace(/\/+$/, "");
  return (
    <Page title="Quick start" description="Keep the client that you have. Change its base URL and its key.">
      <div className="docs">
        <section aria-labelledby="base">
          <h2 id="base">Where to send requests</h2>
          <div className="base">
            <Code caption="OpenAI's clients" text={`${origin}/v1`} what="the base URL" />
            <Code caption="Anthropic's clients" text={origin} what="the base URL for Anthropic's clients" />
          </div>
        </section>
        <section aria-labelledby="key">
          <h2 id="key">Your key</h2>
          <p>
            <Link href="/keys?new=1">Create a key</Link>, with a budget if you like, and put it into the environment. It
            is shown once. Keep it on your servers: whoever has it spends from your balance.
          </p>
          <Code text={snippets.exportKey} what="the command" />
        </section>
        <section aria-labelledby="client">
          <h2 id="client">Your client</h2>
          <Tabs.Root
            value={tool}
            onValueChange={(id) => setParams(id === FIRST ? {} : { tool: id }, { replace: true })}
          >
            <Tabs.List className="tabs" aria-label="Client">
              {TOOLS.map(({ id, name }) => (
                <Tabs.Trigger key={id} value={id}>
                  {name}
                </Tabs.Trigger>
              ))}
            </Tabs.List>
            {TOOLS.map(({ id, intro, code, outro }) => (
              <Tabs.Content key={id} value={id} className="tab-body">
                {intro}
                {code.map((make) => {
                  const { caption, text } = make(origin);
                  return <Code key={caption} caption={caption} text={text} />;
                })}
                {outro}
              </Tabs.Content>
            ))}
          </Tabs.Root>
        </section>
        <section aria-labelledby="errors">
          <h2 id="errors">When it is refused</h2>
          <p>Errors have one shape, and a code that does not change.</p>
          <div className="card table-wrap" tabIndex={0} role="region" aria-label="Error codes">
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">
                    <span>Code</span>
                  </th>
                  <th scope="col">
                    <span>Meaning</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {ERRORS.map(([code, meaning]) => (
                  <tr key={code}>
                    <td>
                      <code>{code}</code>
                    </td>
                    <td>{meaning}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      </div>
    </Page>
  );
}

const ERRORS: [string, string][] = [
  ["invalid_api_key", "The key is missing, revoked, expired or wrong."],
  ["insufficient_credit", "The balance, or the budget of the key, is too low for the request."],
  ["model_not_available", "There is no such model, or it has no price."],
  ["invalid_request", "The body or a parameter is malformed, or asks for what is not offered. The message says which."],
  ["rate_limit_exceeded", "Come again after the time in retry-after."],
  ["upstream_unavailable", "No provider of the model answers at the moment."],
  ["internal_error", "Something failed here. Tell us the x-request-id."],
];
