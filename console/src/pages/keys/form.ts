// What the form of a key holds, as it is typed, and what becomes of it. Pure.
import type { ChangedLimits, Key, Limits, Period, Permission } from "../../api/types.ts";
import { hasDecimalComma, readUsd } from "../../lib/usd.ts";

export interface KeyForm {
  name: string;
  permissions: Permission[];
  budget: string;
  period: Period;
  perMinute: string;
  atOnce: string;
  /** `"never"`, a number of days, or `"own"`. */
  ends: string;
  /** Local time of the device, as an `<input type="datetime-local">` has it. */
  endsAt: string;
  models: string;
  addresses: string;
}

export type Wrong = Partial<Record<keyof KeyForm, string>>;

export const EMPTY: KeyForm = {
  name: "",
  permissions: ["inference"],
  budget: "",
  period: "monthly",
  perMinute: "",
  atOnce: "",
  ends: "never",
  endsAt: "",
  models: "",
  addresses: "",
};

const DAY_MS = 86_400_000;
const ADDRESS = /^[0-9a-fA-F.:]+(\/\d{1,3})?$/;
const MODEL = /^[^\s,]+$/;

/** The form of a key that is there. */
export function formOf({ name, permissions, limits }: Key): KeyForm {
  return {
    name,
    permissions,
    budget: limits.budget?.usd ?? "",
    period: limits.budget?.period ?? "monthly",
    perMinute: limits.requests_per_minute?.toString() ?? "",
    atOnce: limits.max_running?.toString() ?? "",
    ends: limits.expires_at ? "own" : "never",
    endsAt: limits.expires_at ? localInput(new Date(limits.expires_at)) : "",
    models: limits.models?.join("\n") ?? "",
    addresses: limits.addresses?.join("\n") ?? "",
  };
}

/** The limits that a form asks for, or what is wrong in it. */
export function limitsOf(form: KeyForm, now: number): { limits: Limits } | { wrong: Wrong } {
  const wrong: Wrong = {};
  const limits: Limits = {};
  if (form.name.trim() === "") wrong.name = "Give it a name by which you will know it.";
  if (form.permissions.length === 0) wrong.permissions = "A key that may do nothing is of no use.";
  if (form.budget.trim() !== "") {
    const usd = readUsd(form.budget);
    if (usd === null || usd === "0")
      wrong.budget = hasDecimalComma(form.budget)
        ? "Decimals stand after a point, as 5.00."
        : "An amount above 0, as 5 or 0.25.";
    else limits.budget = { usd, period: form.period };
  }
  const count = (field: "perMinute" | "atOnce") => {
    const typed = form[field].trim();
    if (typed === "") return undefined;
    const value = /^\d{1,7}$/.test(typed) ? Number(typed) : 0;
    if (value === 0) wrong[field] = "A whole number above 0.";
    return value;
  };
  const perMinute = count("perMinute");
  if (perMinute) limits.requests_per_minute = perMinute;
  const atOnce = count("atOnce");
  if (atOnce) limits.max_running = atOnce;
  if (form.ends !== "never") {
    const at = form.ends === "own" ? Date.parse(form.endsAt) : now + Number(form.ends) * DAY_MS;
    if (!(at > now)) wrong.endsAt = "A moment to come.";
    else limits.expires_at = new Date(at).toISOString();
  }
  const models = lines(form.models);
  if (models.some((line) => !MODEL.test(line))) wrong.models = "One id or pattern a line, as gpt-4o or claude-*.";
  else if (models.length > 0) limits.models = models;
  const addresses = lines(form.addresses);
  if (addresses.some((line) => !ADDRESS.test(line)))
    wrong.addresses = "One address or range a line, as 203.0.113.0/24.";
  else if (addresses.length > 0) limits.addresses = addresses;
  return Object.keys(wrong).length > 0 ? { wrong } : { limits };
}

/** The fields of the form that make up each limit. */
const FIELDS: Record<keyof Limits, (keyof KeyForm)[]> = {
  requests_per_minute: ["perMinute"],
  max_running: ["atOnce"],
  budget: ["budget", "period"],
  expires_at: ["ends", "endsAt"],
  models: ["models"],
  addresses: ["addresses"],
};

/** The limits that `form` changes in `before`: those that it has emptied are `null`, and all others stay unnamed. */
export function changeOf(before: KeyForm, form: KeyForm, limits: Limits): ChangedLimits {
  const names = (Object.keys(FIELDS) as (keyof Limits)[]).filter((limit) =>
    FIELDS[limit].some((field) => form[field] !== before[field]),
  );
  return Object.fromEntries(names.map((limit) => [limit, limits[limit] ?? null]));
}

const lines = (text: string) =>
  text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter(Boolean);

function localInput(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
