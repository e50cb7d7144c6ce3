// A square Web Mercator map of the world that can be dragged, pinched, zoomed and operated by keys.
// `view` and `home` are windows of the map: [left, top, width, height] in its units. A page sets
// `home` and may replace `onDraw`, called after each drawing, and `onMove`, called after the user
// has moved or zoomed the map.
const SVG = "http://www.w3.org/2000/svg", $ = id => document.getElementById(id);
const ZOOM_STEP = .6, SMALLEST_VIEW = .02, SCALE_BAR_PX = 120, DRAG_PX = 4;
const svg = document.querySelector("svg");
let view = [0, 0, data.size, data.size], home = view.slice(), onDraw = () => {}, onMove = () => {};

function make(parent, tag, attributes, text) {
  const isSvg = parent.namespaceURI === SVG;
  const node = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;         // never innerHTML: text comes from file names
  parent.append(node);
  return node;
}

function unitsPerPixel() {
  const box = svg.getBoundingClientRect();
  return Math.max(view[2] / box.width, view[3] / box.height);
}

function draw() {
  if (!svg.getBoundingClientRect().width) return;          // a frame without a size yet: drawn on its "resize"
  svg.setAttribute("viewBox", view.join(" "));
  onDraw();
  const units = unitsPerPixel();
  for (const pin of document.querySelectorAll("[data-at]"))
    pin.setAttribute("transform", `translate(${pin.dataset.at}) scale(${units})`);
  drawScaleBar(units);
}

function drawScaleBar(units) {
  const mercatorY = Math.PI * (1 - 2 * (view[1] + view[3] / 2) / data.size);
  const kmPerPixel = 40030 / data.size * units / Math.cosh(mercatorY);   // in the middle of the map
  const longest = SCALE_BAR_PX * kmPerPixel, power = 10 ** Math.floor(Math.log10(longest));
  const length = power * [5, 2, 1].find(step => step * power <= longest);
  $("scale").style.width = length / kmPerPixel + "px";
  $("scale").textContent = length < 1 ? `${Math.round(length * 1000)} m` : `${length} km`;
}

// ---- moving the view; setView is for scripts, the others report the user's move

function setView(next) {                                   // repeats east and west, stops at the poles
  const side = Math.min(data.size, Math.max(SMALLEST_VIEW, next[2]));
  const eastOfHome = next[0] + (side - home[2]) / 2 - home[0];
  const left = next[0] - data.size * Math.round(eastOfHome / data.size);
  view = [left, Math.min(data.size - side / 2, Math.max(-side / 2, next[1])), side, side];
  draw();
}

function zoom(factor, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) {
  const side = Math.min(data.size, Math.max(SMALLEST_VIEW, view[2] * factor)), ratio = side / view[2];
  setView([x - (x - view[0]) * ratio, y - (y - view[1]) * ratio, side, side]);
  onMove();
}

function move(dx, dy) {
  setView([view[0] + dx, view[1] + dy, view[2], view[3]]);
  onMove();
}

function goTo([x, y]) {
  view = [x - view[2] / 2, y - view[3] / 2, view[2], view[3]];
  draw();
  onMove();
}

function goHome() {
  view = home.slice();
  draw();
  onMove();
}

function pin(kind, at, label, title) {
  const group = make($("pins"), "g", {class: "pin " + kind, "data-at": at.join(" ")});
  make(group, "title", {}, title);
  make(group, "circle", {r: kind === "first" ? 11 : 8});
  make(group, "text", {}, label);
}

// ---- controls

$("world").setAttribute("d", data.world);
$("in").onclick = () => zoom(ZOOM_STEP);
$("out").onclick = () => zoom(1 / ZOOM_STEP);
$("home").onclick = goHome;

const onMap = (x, y) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());
svg.onwheel = event => {
  event.preventDefault();
  const at = onMap(event.clientX, event.clientY);
  zoom(Math.exp(event.deltaY * (event.deltaMode ? .05 : .0015)), at.x, at.y);
};

const pointers = new Map();
svg.onpointerdown = event => pointers.set(event.pointerId, event);
svg.onpointerup = svg.onpointercancel = event => pointers.delete(event.pointerId);
svg.onpointermove = event => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  if (!svg.hasPointerCapture(event.pointerId)) {           // captured from the start, clicks would miss the marks
    if (Math.hypot(before.clientX - event.clientX, before.clientY - event.clientY) < DRAG_PX) return;
    svg.setPointerCapture(event.pointerId);
  }
  if (pointers.size === 2) pinch(before, event);
  else move((before.clientX - event.clientX) * unitsPerPixel(), (before.clientY - event.clientY) * unitsPerPixel());
  pointers.set(event.pointerId, event);
};

function pinch(before, event) {
  const other = [...pointers.values()].find(pointer => pointer.pointerId !== event.pointerId);
  const span = pointer => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
  const at = onMap((event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
  zoom(span(before) / Math.max(1, span(event)), at.x, at.y);
}

svg.onkeydown = event => {
  const step = view[2] / 10;
  const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
  if (moves[event.key]) { move(...moves[event.key]); event.preventDefault(); }
  else if (event.key === "+" || event.key === "=") zoom(ZOOM_STEP);
  else if (event.key === "-") zoom(1 / ZOOM_STEP);
  else if (event.key === "0") goHome();
};
addEventListener("resize", draw);
