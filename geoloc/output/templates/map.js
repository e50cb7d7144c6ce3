// The map: a square Web Mercator world to drag, pinch, wheel and steer by keys. A page sets `home`,
// the window to return to, and draws more in `onDraw`.
const SVG = "http://www.w3.org/2000/svg", $ = id => document.getElementById(id);
const svg = document.querySelector("svg");
let view = [0, 0, data.size, data.size], home = view.slice(), onDraw = () => {};

function make(parent, tag, attributes, text) {
  const drawn = parent.namespaceURI === SVG;
  const node = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;       // never innerHTML: names are not ours
  parent.append(node);
  return node;
}

function scale() {                                        // drawing units per screen pixel
  const box = svg.getBoundingClientRect();
  return Math.max(view[2] / box.width, view[3] / box.height);
}

function draw() {
  svg.setAttribute("viewBox", view.join(" "));
  onDraw();
  const s = scale();
  for (const pin of document.querySelectorAll("[data-at]"))
    pin.setAttribute("transform", `translate(${pin.dataset.at}) scale(${s})`);
  const north = Math.PI * (1 - 2 * (view[1] + view[3] / 2) / data.size);
  const kmPerPixel = 40030 / data.size * s / Math.cosh(north);     // Web Mercator in the middle
  const most = 120 * kmPerPixel, power = 10 ** Math.floor(Math.log10(most));
  const length = power * [5, 2, 1].find(step => step * power <= most);
  $("scale").style.width = length / kmPerPixel + "px";
  $("scale").textContent = length < 1 ? `${Math.round(length * 1000)} m` : `${length} km`;
}

function zoom(factor, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) {
  const side = Math.min(data.size, Math.max(.02, view[2] * factor)), f = side / view[2];
  view = [x - (x - view[0]) * f, y - (y - view[1]) * f, side, side];
  move(0, 0);
}

function move(dx, dy) {                                    // round the world, but not over the poles
  const eastOfHome = view[0] + dx + (view[2] - home[2]) / 2 - home[0];
  view[0] += dx - data.size * Math.round(eastOfHome / data.size);
  view[1] = Math.min(data.size - view[3] / 2, Math.max(-view[3] / 2, view[1] + dy));
  draw();
}

function goTo([x, y]) {
  view = [x - view[2] / 2, y - view[3] / 2, view[2], view[3]];
  draw();
}

function goHome() {
  view = home.slice();
  draw();
}

function pin(kind, at, label, title) {
  const group = make($("pins"), "g", {class: "pin " + kind, "data-at": at.join(" ")});
  make(group, "title", {}, title);
  make(group, "circle", {r: kind === "first" ? 11 : 8});
  make(group, "text", {}, label);
}

$("world").setAttribute("d", data.world);
$("in").onclick = () => zoom(.6); $("out").onclick = () => zoom(1 / .6);
$("home").onclick = goHome;
const onMap = (x, y) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());
svg.onwheel = event => {
  event.preventDefault();
  const at = onMap(event.clientX, event.clientY);
  zoom(Math.exp(event.deltaY * (event.deltaMode ? .05 : .0015)), at.x, at.y);
};
const fingers = new Map();
svg.onpointerdown = event => fingers.set(event.pointerId, event);
svg.onpointerup = svg.onpointercancel = event => fingers.delete(event.pointerId);
svg.onpointermove = event => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  if (!svg.hasPointerCapture(event.pointerId)) {           // else a click would never reach what is clicked
    if (Math.hypot(before.clientX - event.clientX, before.clientY - event.clientY) < 4) return;
    svg.setPointerCapture(event.pointerId);
  }
  if (fingers.size === 2) {                               // pinch
    const other = [...fingers.values()].find(finger => finger.pointerId !== event.pointerId);
    const span = finger => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    const at = onMap((event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
    zoom(span(before) / Math.max(1, span(event)), at.x, at.y);
  } else move((before.clientX - event.clientX) * scale(), (before.clientY - event.clientY) * scale());
  fingers.set(event.pointerId, event);
};
svg.onkeydown = event => {
  const step = view[2] / 10;
  const keys = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
  if (keys[event.key]) { move(...keys[event.key]); event.preventDefault(); }
  else if (event.key === "+" || event.key === "=") zoom(.6);
  else if (event.key === "-") zoom(1 / .6);
  else if (event.key === "0") goHome();
};
addEventListener("resize", draw);
