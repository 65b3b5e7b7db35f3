// Runs inside the page: what an accessibility checker asks first. Returns problems in words.
const problems = [];

function visible(element) {
  if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: false })) return false;
  const box = element.getBoundingClientRect();
  return box.width > 1 && box.height > 1;
}

function nameOf(element) {
  const label = element.getAttribute("aria-label");
  if (label) return label.trim();
  const by = element.getAttribute("aria-labelledby");
  if (by) return by.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  if (element.labels?.length) return element.labels[0].textContent.trim();
  return (element.textContent || element.getAttribute("alt") || element.title || "").trim();
}

// Every control has a name.
const controls = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0'], [role=img]")].filter(visible);
for (const control of controls) if (!nameOf(control)) problems.push(`no name: ${control.outerHTML.slice(0, 120)}`);
for (const image of document.images) if (!image.hasAttribute("alt")) problems.push(`no alt: ${image.src}`);

// Landmarks, one level-one heading, a language, no id twice.
for (const landmark of ["header", "main", "nav", "footer", "[role=search]"]) if (!document.querySelector(landmark)) problems.push(`no ${landmark}`);
if (document.querySelectorAll("h1").length !== 1) problems.push(`${document.querySelectorAll("h1").length} headings of level one`);
if (!document.documentElement.lang) problems.push("no language");
if (!document.title) problems.push("no title");
const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) problems.push(`the id ${id} twice`);
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) problems.push(`heading ${next} after ${level}: ${heading.textContent}`);
  level = next;
}
for (const table of document.querySelectorAll("table")) {
  if (!table.caption) problems.push("a table without a caption");
  for (const head of table.querySelectorAll("th")) if (!head.scope) problems.push(`a header cell without a scope: ${head.textContent}`);
}

// Contrast of all text that can be seen, against what it stands on.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
canvas.canvas.width = canvas.canvas.height = 1;
const cache = new Map();
function rgba(colour) {
  if (!cache.has(colour)) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    cache.set(colour, [r, g, b, a / 255]);
  }
  return cache.get(colour);
}
const over = (top, under) => top.slice(0, 3).map((value, index) => value * top[3] + under[index] * (1 - top[3]));
function groundOf(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const colour = rgba(getComputedStyle(at).backgroundColor);
    if (colour[3] > 0) layers.push(colour);
    if (colour[3] === 1) break;
  }
  return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
}
function luminance(colour) {
  const [r, g, b] = colour.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
let least = 21;
let texts = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.textContent.trim();
  const element = walker.currentNode.parentElement;
  if (!text || !visible(element) || element.closest(".hidden, [aria-hidden=true], :disabled, noscript")) continue;
  const ground = groundOf(element);
  const ink = over(rgba(getComputedStyle(element).color), ground);
  const [light, dark] = [luminance(ink), luminance(ground)].sort((a, b) => b - a);
  const contrast = (light + 0.05) / (dark + 0.05);
  texts += 1;
  least = Math.min(least, contrast);
  if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(2)}: "${text.slice(0, 40)}" in ${element.className || element.tagName}`);
}
return { problems: [...new Set(problems)].slice(0, 12), controls: controls.length, texts, least };
