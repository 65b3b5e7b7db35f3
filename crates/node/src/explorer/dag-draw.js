// Draws a window of the DAG on a canvas. Colour never stands alone: what a block is, is also its
// shape (see `legend` in parts.js, which draws the same shapes with the same functions).

const COLOURS = ["ground", "surface", "ink", "muted", "line", "lane", "committed", "committed-2", "pending", "leader", "skip", "evidence", "edge", "focus"];

const MANY_EDGES = 120; // beyond it single lines matter less than the region they fill

/** The page's colours, read once for each theme. */
export function readColours(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function diamond(pen, x, y, size) {
  pen.moveTo(x, y - size);
  pen.lineTo(x + size, y);
  pen.lineTo(x, y + size);
  pen.lineTo(x - size, y);
  pen.closePath();
}

/** One slot: circle = block, diamond = leader; filled = committed, hollow = pending; dashed box with a cross = skipped. */
export function drawSlot(pen, colours, shape, x, y, size, faded = false) {
  const { leader, decision, committed, odd, evidence, twin, empty } = shape;
  pen.globalAlpha = faded ? 0.22 : 1;
  pen.lineWidth = 1.6;
  if (decision === "skip") {
    drawSkip(pen, colours, x, y, size);
    if (!empty) circle(pen, x, y, size * 0.42, committed ? colours.committed : colours.surface, committed ? null : colours.pending);
  } else if (!empty && leader) {
    pen.beginPath();
    diamond(pen, x, y, size * 1.32);
    pen.fillStyle = committed || decision === "commit" ? colours.leader : colours.surface;
    pen.fill();
    pen.strokeStyle = colours.leader;
    pen.lineWidth = 2;
    pen.stroke();
  } else if (empty && leader) {
    pen.beginPath();
    diamond(pen, x, y, size * 1.2);
    pen.setLineDash([2, 3]);
    pen.strokeStyle = colours.leader;
    pen.stroke();
    pen.setLineDash([]);
  } else if (!empty) {
    const fill = odd ? colours["committed-2"] : colours.committed;
    circle(pen, x, y, size * 0.86, committed ? fill : colours.surface, committed ? null : colours.pending);
  }
  if (twin) {
    circle(pen, x + size * 0.55, y - size * 0.55, size * 0.6, colours.surface, colours.evidence);
  }
  if (evidence) drawFlag(pen, colours, x, y - size * 1.25, size * 0.62);
  pen.globalAlpha = 1;
}

function circle(pen, x, y, radius, fill, stroke) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = fill;
  pen.fill();
  if (!stroke) return;
  pen.strokeStyle = stroke;
  pen.stroke();
}

function drawSkip(pen, colours, x, y, size) {
  const half = size * 1.12;
  pen.strokeStyle = colours.skip;
  pen.setLineDash([3, 2]);
  pen.strokeRect(x - half, y - half, 2 * half, 2 * half);
  pen.setLineDash([]);
  pen.lineWidth = 1.2;
  pen.beginPath();
  pen.moveTo(x - half, y - half);
  pen.lineTo(x + half, y + half);
  pen.moveTo(x + half, y - half);
  pen.lineTo(x - half, y + half);
  pen.stroke();
}

function drawFlag(pen, colours, x, y, size) {
  pen.beginPath();
  pen.moveTo(x, y - size);
  pen.lineTo(x + size, y + size * 0.8);
  pen.lineTo(x - size, y + size * 0.8);
  pen.closePath();
  pen.fillStyle = colours.evidence;
  pen.fill();
}

/** The whole window. `scene` says what is where; see DagView.scene. */
export function drawWindow(pen, scene, colours) {
  const { width, height } = scene;
  pen.clearRect(0, 0, width, height);
  drawLanes(pen, scene, colours);
  drawAxis(pen, scene, colours);
  drawEdges(pen, scene, colours);
  drawSlots(pen, scene, colours);
}

function drawLanes(pen, scene, colours) {
  for (const lane of scene.lanes) {
    pen.fillStyle = colours.lane;
    if (lane.index % 2 === 0) pen.fillRect(0, lane.top, scene.width, lane.height);
    if (lane.isolated) hatch(pen, colours, lane, scene.width);
  }
  if (scene.frontier <= 0) return;
  // Right of the newest committed leader nothing is decided yet.
  const x = scene.x(scene.frontier) + scene.column / 2;
  if (x > scene.width || x < 0) return;
  pen.strokeStyle = colours.leader;
  pen.globalAlpha = 0.55;
  pen.lineWidth = 1;
  pen.setLineDash([1, 4]);
  pen.beginPath();
  pen.moveTo(x, scene.top);
  pen.lineTo(x, scene.bottom);
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

function hatch(pen, colours, lane, width) {
  pen.strokeStyle = colours.evidence;
  pen.globalAlpha = 0.16;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let x = -lane.height; x < width; x += 9) {
    pen.moveTo(x, lane.top + lane.height);
    pen.lineTo(x + lane.height, lane.top);
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

function drawAxis(pen, scene, colours) {
  const step = [1, 2, 5, 10, 20, 50].find((step) => step * scene.column >= 52 * scene.unit) ?? 100;
  pen.font = scene.font;
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  for (let round = scene.from; round <= scene.to; round += 1) {
    if (round < 1 || round % step !== 0) continue;
    const x = scene.x(round);
    pen.fillStyle = colours.line;
    pen.fillRect(Math.round(x), scene.top, 1, scene.bottom - scene.top);
    pen.fillStyle = colours.muted;
    pen.fillText(String(round), x, scene.top - 7 * scene.unit);
  }
  if (!scene.heights) return;
  let free = -Infinity;
  for (const { round, label } of scene.heights) {
    const x = scene.x(round);
    if (x < free) continue;
    free = x + pen.measureText(label).width + 10;
    pen.fillStyle = colours.leader;
    pen.fillRect(Math.round(x), scene.bottom, 1, 5 * scene.unit);
    pen.fillStyle = colours.muted;
    pen.fillText(label, x, scene.bottom + 16 * scene.unit);
  }
}

/** Three strokes in all, however many edges: ordinary ones, votes for leaders, and the highlighted. */
function drawEdges(pen, scene, colours) {
  const { plain, votes, strong } = scene.edges;
  const dimmed = strong.length > 0;
  // The more edges there are, the fainter is each: the weave stays even, not solid.
  strokeAll(pen, plain, colours.edge, (dimmed ? 0.18 : 0.4) / scene.density, 1);
  strokeAll(pen, votes, colours.leader, (dimmed ? 0.12 : 0.42) / Math.sqrt(scene.density), 1);
  strokeAll(pen, strong, colours.focus, strong.length > MANY_EDGES * 4 ? 0.34 / scene.density : 0.75, 1.2);
}

function strokeAll(pen, ends, colour, alpha, width) {
  if (!ends.length) return;
  pen.strokeStyle = colour;
  pen.globalAlpha = alpha;
  pen.lineWidth = width;
  pen.beginPath();
  for (let at = 0; at < ends.length; at += 4) {
    pen.moveTo(ends[at], ends[at + 1]);
    pen.lineTo(ends[at + 2], ends[at + 3]);
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

function drawSlots(pen, scene, colours) {
  for (const item of scene.slots) drawSlot(pen, colours, item.shape, item.x, item.y, item.size, item.faded);
  const at = scene.cursor;
  if (!at) return;
  pen.strokeStyle = colours.focus;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(at.x, at.y, at.size * 1.9, 0, 2 * Math.PI);
  pen.stroke();
}
