// World map of the game: a guess by click, or by keyboard with arrows, plus, minus and Enter.
const svg = element.querySelector("svg"), marks = svg.querySelector(".marks"), SIZE = 1000;
let view = {x: 500, y: 420, width: 1000};     // centre and width in SVG units

const x = lon => (lon + 180) / 360 * SIZE;
const y = lat => (.5 - Math.asinh(Math.tan(Math.min(85, Math.max(-85, lat)) * Math.PI / 180)) / (2 * Math.PI)) * SIZE;
const latlon = (px, py) => ({
  lat: Math.atan(Math.sinh((.5 - py / SIZE) * 2 * Math.PI)) * 180 / Math.PI,
  lon: ((px / SIZE * 360) % 360 + 360) % 360 - 180});
const near = (from, to) => to - SIZE * Math.round((to - from) / SIZE);   // across the antimeridian if shorter

function make(tag, attributes, text) {
  const node = document.createElementNS(svg.namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  marks.append(node);
}

function draw() {
  const box = svg.getBoundingClientRect();
  if (!box.width) return;
  const height = view.width * box.height / box.width, unit = view.width / box.width;
  svg.setAttribute("viewBox", [view.x - view.width / 2, view.y - height / 2, view.width, height].join(" "));
  marks.replaceChildren();
  const {pins = [], lines = []} = props.value || {};
  const at = pin => [near(view.x, x(pin.lon)), y(pin.lat)];
  for (const [from, to] of lines) {
    const [ax, ay] = at(pins[from]), [bx, by] = at(pins[to]);
    make("line", {x1: ax, y1: ay, x2: near(ax, bx), y2: by, class: pins[from].kind});
  }
  for (const pin of pins) {
    const [cx, cy] = at(pin);
    make("circle", {cx, cy, r: 7 * unit, class: pin.kind});
    make("text", {x: cx, y: cy - 12 * unit, "font-size": 13 * unit, class: pin.kind}, pin.label);
  }
}

function zoom(factor, px = view.x, py = view.y) {
  const width = Math.min(1000, Math.max(25, view.width * factor)), f = width / view.width;
  view = {x: px + (view.x - px) * f, y: py + (view.y - py) * f, width};
  move(0, 0);
}

function move(dx, dy) {
  view.x = ((view.x + dx) % SIZE + SIZE) % SIZE;
  view.y = Math.min(900, Math.max(100, view.y + dy));
  draw();
}

function place(px, py) {
  if (!props.value?.open) return;
  const pin = {...latlon(px, py), kind: "yours", label: "you"};
  props.value = {...props.value, pins: [pin]};  // see choose.js
  draw();
  trigger("select");
}

function under(event) {
  const box = svg.getBoundingClientRect(), unit = view.width / box.width;
  return [view.x + (event.clientX - box.left - box.width / 2) * unit,
          view.y + (event.clientY - box.top - box.height / 2) * unit];
}

const pointers = new Map();                   // pressed pointers by id, with their last event
let dragged = false;
svg.addEventListener("pointerdown", event => {
  svg.setPointerCapture(event.pointerId);
  if (!pointers.size) dragged = false;
  pointers.set(event.pointerId, event);
});
svg.addEventListener("pointermove", event => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const unit = view.width / svg.getBoundingClientRect().width;
  const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
  if (!dragged && Math.hypot(dx, dy) < 4) return;
  dragged = true;
  if (pointers.size === 2) {
    const [other] = [...pointers.values()].filter(other => other.pointerId !== event.pointerId);
    const distance = pointer => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
    zoom(distance(before) / distance(event));
  } else move(-dx * unit, -dy * unit);
  pointers.set(event.pointerId, event);
});
for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, event => {
  pointers.delete(event.pointerId);
  if (end === "pointerup" && !dragged) place(...under(event));
});
svg.addEventListener("wheel", event => {
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.25 : .8, ...under(event));
}, {passive: false});
svg.addEventListener("keydown", event => {
  const step = view.width / 12;
  const action = {
    ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0),
    ArrowUp: () => move(0, -step), ArrowDown: () => move(0, step),
    "+": () => zoom(.7), "=": () => zoom(.7), "-": () => zoom(1.4),
    Enter: () => place(view.x, view.y), " ": () => place(view.x, view.y)}[event.key];
  if (action) { event.preventDefault(); action(); }
});
element.querySelector("[data-zoom=in]").addEventListener("click", () => zoom(.6));
element.querySelector("[data-zoom=out]").addEventListener("click", () => zoom(1.6));
new ResizeObserver(draw).observe(svg);

function resetView() {                        // after a round: all pins; before: the world
  const {pins = [], lines = []} = props.value || {};
  if (!pins.length) view = {x: 500, y: 420, width: 1000};
  if (lines.length) {
    const xs = pins.map(pin => near(x(pins[0].lon), x(pin.lon))), ys = pins.map(pin => y(pin.lat));
    const span = Math.max(Math.max(...xs) - Math.min(...xs), 1.6 * (Math.max(...ys) - Math.min(...ys)));
    view = {x: (Math.max(...xs) + Math.min(...xs)) / 2, y: (Math.max(...ys) + Math.min(...ys)) / 2,
            width: Math.min(1000, Math.max(60, 1.5 * span))};
  }
  draw();
}
let outline = null;                           // requested once, and again after a failure
async function changed() {
  resetView();
  const land = svg.querySelector(".land");
  if (land.hasAttribute("d")) return;
  try {
    land.setAttribute("d", await (outline ??= server.world()));
  } catch {
    outline = null;
    setTimeout(changed, 2000);
  }
}
watch("value", changed);
if (props.value) changed();                   // the first round arrives before this script runs
