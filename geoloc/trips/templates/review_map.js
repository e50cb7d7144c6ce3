// Groups on the map: marks that can be dragged, the lines of journeys and tracks, the 80 % circle.
const COLOURS = {"measured": "var(--measured)", "interpolated": "var(--interpolated)", "recognised": "var(--recognised)",
                 "guessed": "var(--guessed)", "not a place": "var(--none)"};
const PIN_PX = 12;                                        // the accuracy of a pin that is placed by hand
const MOST_MARKS = 1500;                                  // on the screen at once
const DRAG_PX = 4;
const marks = new Map();                                  // group -> node
let chosen = null, onPlaced = () => {};                   // `onPlaced` is called after the user has placed a group

function drawGroups() {
  const [left, top, right, bottom] = map.extent(map.view), middle = map.view[0] + map.view[2] / 2, visible = new Set();
  for (const group of chosen ? [chosen, ...groups] : groups) {
    if (group.lat === null || visible.size >= MOST_MARKS) continue;
    const x = map.nearestCopy(group.x, middle);
    if (x < left || x > right || group.y < top || group.y > bottom) continue;
    visible.add(group);
    if (!marks.has(group)) marks.set(group, drawMark(group));
    const node = marks.get(group);
    node.dataset.at = `${x} ${group.y}`;
    node.classList.toggle("open", !anchored(group));
    node.classList.toggle("chosen", group === chosen);
    node.setAttribute("aria-label", markLabel(group));
  }
  for (const [group, node] of marks) if (!visible.has(group)) { node.remove(); marks.delete(group); }
  const top_ = chosen && marks.get(chosen);
  if (top_ && top_ !== map.layers.marks.lastChild && !dragged) map.layers.marks.append(top_);
  drawCircle();
}

function markLabel(group) {
  const state = group.measured ? "measured" : group.accepted ? "accepted" : "to be decided";
  return `${group.photos.length} photos, ${group.photos[0].place || "no place name"}, ${state}`;
}

function drawMark(group) {
  const size = group.photos.length, radius = Math.min(16, 6 + 2 * Math.log2(size + 1));
  const node = make(map.layers.marks, "g", {class: group.measured ? "mark" : "mark movable", role: "button", tabindex: -1, "aria-label": ""});
  make(node, "circle", {class: "edge", r: radius + 4});
  make(node, "circle", {class: "dot", r: radius, style: `fill:${COLOURS[group.kind]}`});
  if (size > 1) make(node, "text", {}, size);
  node.onclick = () => choose(group, false);
  node.onkeydown = event => { if (event.key === "Enter" || event.key === " ") { choose(group); event.preventDefault(); event.stopPropagation(); } };
  if (!group.measured) node.onpointerdown = event => startDrag(event, group, node);
  return node;
}

function drawCircle() {
  map.drawCircle(chosen && chosen.lat !== null && chosen.radius_80_km > 0 ? chosen : null);
}

// ---- dragging a mark places its group

let dragged = null;

function startDrag(event, group, node) {
  event.stopPropagation();                                // the map stays where it is
  const start = [event.clientX, event.clientY];
  node.setPointerCapture(event.pointerId);
  node.onpointermove = moving => {
    if (!dragged && Math.hypot(moving.clientX - start[0], moving.clientY - start[1]) < DRAG_PX) return;
    dragged = map.onMap(moving.clientX, moving.clientY);
    node.setAttribute("transform", `translate(${dragged.x} ${dragged.y}) scale(${map.unitsPerPixel()})`);
  };
  node.onpointerup = node.onpointercancel = ending => {
    node.onpointermove = node.onpointerup = node.onpointercancel = null;
    const at = dragged;
    dragged = null;
    if (at && ending.type === "pointerup") placeAt(group, at.x, at.y);
    else map.draw();
  };
}

function placeAt(group, x, y) {                           // map units
  onPlaced(group, place(group, ...map.unproject(x, y), Math.max(.01, PIN_PX * map.kmPerPixel(y))));
}

// ---- lines of journeys and tracks

function drawLines() {
  map.layers.lines.replaceChildren();
  for (const track of data.tracks) make(map.layers.lines, "path", {class: "track", d: map.line(track)});
  const journeys = new Map();
  for (const photo of photos) {
    const at = photo.journey === null ? null : positionOf(photo);
    if (at && !journeys.has(photo.journey)) journeys.set(photo.journey, []);
    if (at) journeys.get(photo.journey).push(at);
  }
  for (const points of journeys.values()) make(map.layers.lines, "path", {class: "journey", d: map.line(points)});
}
