// Asks the node. Every answer is a value or an ApiError that says what to do about it.

const TIMEOUT_MS = 12000;

export class ApiError extends Error {
  constructor(status, code, message, remedy) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
  }

  /** Whether another node has what was asked for; the remedy names it. */
  get misdirected() {
    return this.status === 421;
  }

  /** Whether the node did not answer at all. */
  get unreachable() {
    return this.status === 0;
  }
}

/** What a GET gives. Integers beyond 2^53 come as decimal strings, so no digit is lost. */
export async function get(path, { signal, timeout = TIMEOUT_MS, exact = true } = {}) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeout);
  const stop = () => controller.abort();
  signal?.addEventListener("abort", stop);
  try {
    const response = await fetch(path, { signal: controller.signal, headers: { accept: "application/json" } });
    const text = await response.text();
    if (!response.ok) throw refusal(response, text);
    return exact ? parse(text) : JSON.parse(text);
  } catch (error) {
    if (error instanceof ApiError || signal?.aborted) throw error;
    if (error instanceof SyntaxError) {
      throw new ApiError(502, "not_json", "The answer is not JSON.", "Is this address really a qcn node's?");
    }
    const late = error.name === "AbortError";
    throw new ApiError(0, "unreachable", late ? "The node did not answer in time." : "The node cannot be reached.",
      "Check that it runs; this page tries again by itself.");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

function refusal(response, text) {
  let told = {};
  try {
    told = JSON.parse(text).error ?? {};
  } catch {
    // A proxy's page, not the node's words.
  }
  return new ApiError(response.status, told.code ?? "http", told.message ?? `The node answered ${response.status}.`, told.remedy);
}

function parse(text) {
  return JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && context && /^-?\d+$/.test(context.source) ? context.source : value);
}

export const path = (...parts) => "/v1/" + parts.map((part) => encodeURIComponent(part)).join("/");

/** The same about a shard; without one it is the first that the node hosts. */
export const pathIn = (shard, ...parts) => (shard === null ? path(...parts) : path("shards", shard, ...parts));

/** The node's address as a command line would give it. */
export const nodeUrl = () => location.origin;
