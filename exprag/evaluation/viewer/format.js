/* Numbers and texts, written as the console report writes them. Pure: no page is needed. */
export const NONE = "–";

const minus = (text) => text.replace("-", "−");
export const fixed = (value, digits) => value === null || value === undefined ? NONE
  : minus(value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
export const percent = (rate) => rate === null || rate === undefined ? NONE : `${(100 * rate).toFixed(0)} %`;

/* A number with its sign; no sign where it is rounded to nothing. */
export function plus(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : (value > 0 ? "+" : "") + minus(text);
}
export const range = (interval, digits, scale = 1) =>
  interval ? `[${plus(interval.low * scale, digits)}, ${plus(interval.high * scale, digits)}]` : "";
export const clip = (text, length) => text.length > length ? `${text.slice(0, length)}…` : text;
export const typeName = (type) => type || "(no type)";

/* Type and id of a task, the type only where the id does not say it. */
export const place = (task) => task.type && task.id.includes(task.type) ? task.id : `${typeName(task.type)} · ${task.id}`;
