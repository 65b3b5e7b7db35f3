// Builds the page out of nodes. Text is only ever text: nothing here parses markup, so a
// validator that calls itself "<script>" is shown as exactly that.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `on...` are listeners, true/false/null set or leave out an attribute. */
export function h(tag, attributes, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** An SVG element, likewise. */
export function svg(tag, attributes, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Sets text, and touches nothing when it is the same, so that selections and readers are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or removes an attribute, only on a change. */
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * Keeps the children of `parent` in step with `items`: a child stays the same element while its
 * key is there, so that focus and hover survive updates. `make(item)` gives an element with an
 * optional method `update(item)`.
 */
export function keep(parent, items, keyOf, make) {
  const known = parent.kept ?? new Map();
  const next = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (next.has(key)) continue;
    const element = known.get(key) ?? make(item);
    element.update?.(item);
    next.set(key, element);
  }
  if (!parent.kept) parent.replaceChildren();
  for (const [key, element] of known) if (!next.has(key)) element.remove();
  let place = parent.firstChild;
  for (const element of next.values()) {
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  parent.kept = next;
}

let announcedAt = 0;
let waiting = null;
const NEWS_EVERY_MS = 4000;

/** Tells screen readers something, at a rate that lets them finish a sentence. */
export function announce(text) {
  const news = document.getElementById("news");
  const wait = announcedAt + NEWS_EVERY_MS - Date.now();
  clearTimeout(waiting);
  if (wait > 0) {
    waiting = setTimeout(() => announce(text), wait);
    return;
  }
  announcedAt = Date.now();
  say(news, text);
}

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
