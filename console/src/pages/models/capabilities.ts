/** What a model may be able to do, in the order of the filters. */
export const CAPABILITIES: Record<string, string> = {
  tools: "Tools",
  vision: "Vision",
  reasoning: "Reasoning",
  json_schema: "Structured output",
  cache: "Prompt cache",
};

/** In words; one that is not known as it is written. */
export const capabilityName = (capability: string) => CAPABILITIES[capability] ?? capability.replaceAll("_", " ");
