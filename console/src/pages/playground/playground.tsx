// A conversation with any model, paid like every other request, by a key that this page forgets.
import "./playground.css";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { modelsQuery } from "../../api/queries.ts";
import { Page } from "../../shell/page.tsx";
import { Button } from "../../ui/button.tsx";
import { SelectField, TextArea } from "../../ui/field.tsx";
import { Empty } from "../../ui/states.tsx";
import { useHeldKey } from "./held-key.ts";
import { KeyPanel } from "./key-panel.tsx";
import { TurnView } from "./turn.tsx";
import { useChat } from "./use-chat.ts";

const PREFERRED = "gpt-4o-mini";

export default function Playground() {
  const key = useHeldKey();
  const models = useQuery(modelsQuery());
  const [chosen, setChosen] = useState("");
  const [system, setSystem] = useState("");
  const [draft, setDraft] = useState("");
  const { turns, send, stop, clear, isRunning } = useChat();
  const log = useRef<HTMLDivElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const talks =
    models.data?.filter(({ pricing, capabilities }) => !capabilities.includes("embeddings") && pricing?.output) ?? [];
  const model = chosen || (talks.find(({ id }) => id === PREFERRED) ?? talks[0])?.id || "";
  const canSend = key !== null && model !== "" && draft.trim() !== "" && !isRunning;

  const last = turns.at(-1);
  useEffect(() => {
    const { current } = log;
    if (current) current.scrollTop = current.scrollHeight;
  }, [turns.length, last?.text.length, last?.state]);

  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (!canSend) return;
    setDraft("");
    void send(draft.trim(), { key, model, system });
  };
  // The button that stops is gone then; whoever pressed it goes on where one writes.
  const halt = () => {
    stop();
    form.current?.querySelector("textarea")?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      submit();
    }
  };

  return (
    <Page
      title="Playground"
      description="Talk to a model and watch what it costs."
      actions={turns.length > 0 && <Button onClick={clear}>Begin anew</Button>}
    >
      <div className={`play ${key ? "" : "no-key"}`}>
        <section className="card talk" aria-label="Conversation">
          <div className="turns" role="log" aria-label="Turns" tabIndex={0} ref={log}>
            {turns.length === 0 ? (
              <Empty icon="play" title={key ? "Say something" : "First, a key"}>
                {key ? "Enter sends, Shift and Enter begins a line." : "Paste one, or make one with a small budget."}
              </Empty>
            ) : (
              turns.map((turn) => <TurnView key={turn.id} turn={turn} />)
            )}
          </div>
          <form onSubmit={submit} ref={form}>
            <TextArea
              label="Message"
              rows={2}
              placeholder={key ? "Ask something" : "A key comes first"}
              disabled={key === null}
              value={draft}
              onText={setDraft}
              onKeyDown={onKey}
            />
            {isRunning ? (
              <Button icon="stop" onClick={halt}>
                Stop
              </Button>
            ) : (
              <Button type="submit" look="primary" icon="send" disabled={!canSend}>
                Send
              </Button>
            )}
          </form>
        </section>
        <aside className="stack" aria-label="Settings of the conversation">
          <KeyPanel />
          <section className="card" aria-label="Model">
            <div className="body stack">
              <SelectField
                label="Model"
                value={model}
                onText={setChosen}
                options={talks.map(({ id }) => [id, id] as const)}
              />
              <TextArea label="System prompt" rows={3} placeholder="None" value={system} onText={setSystem} />
            </div>
          </section>
        </aside>
      </div>
    </Page>
  );
}
