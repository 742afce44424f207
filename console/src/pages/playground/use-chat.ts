// A conversation: its turns, and the one that is on its way.
import { useCallback, useEffect, useRef, useState } from "react";
import { messageOf } from "../../ui/states.tsx";
import { streamChat, type Message } from "./stream.ts";

export interface Turn {
  id: number;
  role: "user" | "assistant";
  text: string;
  reasoning: string;
  model: string;
  state: "running" | "done" | "stopped" | "failed";
  failure: string | null;
  requestId: string | null;
  /** Nano-dollars, as the stream's end said it. */
  cost: bigint | null;
  tokens: { input: number; output: number } | null;
}

const turn = (id: number, role: Turn["role"], text: string, model: string, state: Turn["state"]): Turn => ({
  id,
  role,
  text,
  reasoning: "",
  model,
  state,
  failure: null,
  requestId: null,
  cost: null,
  tokens: null,
});

export function useChat() {
  const [turns, setTurns] = useState<Turn[]>([]);
  const running = useRef<AbortController | null>(null);
  const next = useRef(0);

  const stop = useCallback(() => running.current?.abort(), []);
  useEffect(() => stop, [stop]);

  const send = async (text: string, { key, model, system }: { key: string; model: string; system: string }) => {
    const controller = new AbortController();
    running.current = controller;
    const answerId = ++next.current + 1;
    const question = turn(next.current++, "user", text, model, "done");
    const before = turns.filter(({ state, text: said }) => state !== "failed" && said !== "");
    const messages: Message[] = [...before, question].map(({ role, text: content }) => ({ role, content }));
    if (system.trim() !== "") messages.unshift({ role: "system", content: system });
    setTurns((all) => [...all, question, turn(answerId, "assistant", "", model, "running")]);
    const change = (part: (answer: Turn) => Partial<Turn>) =>
      setTurns((all) => all.map((one) => (one.id === answerId ? { ...one, ...part(one) } : one)));
    try {
      const pieces = streamChat({
        key,
        model,
        messages,
        signal: controller.signal,
        onBegin: (requestId) => change(() => ({ requestId })),
      });
      for await (const { content, reasoning, usage } of pieces) {
        change((answer) => ({
          text: answer.text + (content ?? ""),
          reasoning: answer.reasoning + (reasoning ?? ""),
          ...(usage && { cost: usage.cost, tokens: { input: usage.input, output: usage.output } }),
        }));
      }
      change(() => ({ state: "done" }));
    } catch (error) {
      if (controller.signal.aborted) change(() => ({ state: "stopped" }));
      else change(() => ({ state: "failed", failure: messageOf(error) }));
    } finally {
      if (running.current === controller) running.current = null;
    }
  };

  const clear = () => {
    stop();
    setTurns([]);
  };
  return { turns, send, stop, clear, isRunning: turns.some(({ state }) => state === "running") };
}
