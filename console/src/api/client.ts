// `fetch` with the session's token, and the gateway's errors as exceptions.
import { accessToken } from "../auth/auth.ts";
import type { ApiErrorBody } from "./types.ts";

/** An answer that is no success; `status` 0 when there was none. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;

  constructor(status: number, code: string, message: string, requestId: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

/** Query parameters; those without a value are left out. */
export type Params = Record<string, string | number | null | undefined>;

export interface Ask {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  params?: Params;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** A bearer token in the place of the session's; `null` for none. */
  token?: string | null;
}

/** Asks and resolves to the successful response, whatever its body is. Throws `ApiError`. */
export async function ask(
  path: string,
  { method = "GET", params = {}, body, signal, token }: Ask = {},
): Promise<Response> {
  const bearer = token === undefined ? await accessToken() : token;
  const headers: Record<string, string> = {};
  if (bearer !== null) headers.authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const init: RequestInit = { method, headers, credentials: "omit", cache: "no-store" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(`${path}${queryOf(params)}`, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "offline", "The gateway could not be reached. Check your connection.");
  }
  if (response.ok) return response;
  throw await errorOf(response);
}

/** Asks for JSON. */
export async function askJson<Answer>(path: string, options?: Ask): Promise<Answer> {
  const response = await ask(path, options);
  return (response.status === 204 ? undefined : await response.json()) as Answer;
}

export function queryOf(params: Params): string {
  const entries = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return entries.length === 0 ? "" : `?${new URLSearchParams(entries.map(([name, value]) => [name, String(value)]))}`;
}

async function errorOf(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id");
  const body = (await response.json().catch(() => null)) as ApiErrorBody | null;
  const { code = "internal_error", message = `The gateway answered ${response.status}.` } = body?.error ?? {};
  return new ApiError(response.status, code, message, requestId);
}
