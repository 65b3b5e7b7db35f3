// How values are written. Every function takes what the node may send, also nothing.

const GROUP = "\u202f"; // a narrow no-break space
const NONE = "\u2013";

/** A whole number of any size (number, BigInt or decimal string), in groups of three. */
export function whole(value) {
  if (value === null || value === undefined || value === "") return NONE;
  if (typeof value === "number" && !Number.isSafeInteger(value)) return value.toLocaleString("en");
  let text = String(value);
  try {
    text = BigInt(text).toString();
  } catch {
    return text;
  }
  const sign = text.startsWith("-") ? "-" : "";
  const digits = text.slice(sign.length);
  return sign + (digits.length > 4 ? digits.replace(/\B(?=(\d{3})+$)/g, GROUP) : digits);
}

/** A number with few digits. */
export function decimal(value, digits = 1) {
  if (!Number.isFinite(value)) return NONE;
  if (Math.abs(value) >= 1000) return whole(Math.round(value));
  return value.toFixed(Math.abs(value) >= 100 ? 0 : digits);
}

/** The two ends of a hash, which is how people compare them. */
export function short(hex, ends = 6) {
  const text = String(hex ?? "");
  return text.length > 2 * ends + 2 ? `${text.slice(0, ends)}\u2026${text.slice(-ends)}` : text || NONE;
}

export function milliseconds(value) {
  if (!Number.isFinite(value)) return NONE;
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 60000) return `${(value / 1000).toFixed(value < 10000 ? 1 : 0)} s`;
  return duration(value);
}

/** A span of time in the two units that matter. */
export function duration(value) {
  if (!Number.isFinite(value)) return NONE;
  const seconds = Math.max(0, Math.round(value / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function ago(unixMs, nowMs) {
  if (!unixMs) return NONE;
  const past = nowMs - unixMs;
  return past < 1500 ? "now" : `${duration(past)} ago`;
}

/** A moment, in the reader's time zone, to the millisecond. */
export function moment(unixMs) {
  if (!unixMs) return NONE;
  const date = new Date(Number(unixMs));
  if (Number.isNaN(date.getTime())) return NONE;
  const two = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function clock(unixMs) {
  const text = moment(unixMs);
  return text === NONE ? text : text.slice(11, 19);
}

export function bytes(value) {
  if (!Number.isFinite(value)) return NONE;
  if (value < 1000) return `${value} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let size = value;
  let unit = -1;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size.toFixed(size < 10 ? 1 : 0)} ${units[unit]}`;
}

export function share(part, total) {
  const value = (100 * Number(part)) / Number(total);
  if (!Number.isFinite(value)) return NONE;
  return `${value >= 99.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)}%`;
}

/** The node's words, which start small and end without a point. */
export function sentence(text) {
  const words = String(text ?? "").trim();
  return words && `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}

/** "1 block", "2 blocks". */
export function count(number, word, words = `${word}s`) {
  return `${whole(number)} ${number === 1 ? word : words}`;
}

/** The middle value and the 95th percentile. */
export function percentiles(values) {
  if (!values.length) return { middle: NaN, high: NaN };
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
  return { middle: at(0.5), high: at(0.95) };
}

export const isHex = (text, length) => text.length === length && /^[0-9a-f]+$/.test(text);
