// Measures an upright object and its shadow by four clicks on the photo.
const STEPS = ["Click the top of an upright object in the photo.", "Click the foot of the object.",
               "Click where its shadow begins.", "Click the tip of its shadow."];
const CLICK_PX = 3;                           // a click is so exact
const LEAST_PX = 8;                           // shorter lines cannot be measured
const button = element.querySelector("button"), state = element.querySelector("[role=status]");
const shown = () => document.querySelector(".side .shown");
let points = null;                            // null while nothing is measured

function say(text) {
  state.textContent = text;
  button.setAttribute("aria-pressed", String(points !== null));
  shown()?.classList.toggle("measuring", points !== null);
}

function draw() {
  const photo = shown();
  photo.querySelector("svg")?.remove();
  const svg = photo.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
  for (const [from, to] of [points.slice(0, 2), points.slice(2, 4)]) {
    if (!from) continue;
    const line = svg.appendChild(document.createElementNS(svg.namespaceURI, "line"));
    const ends = {x1: from.x, y1: from.y, x2: (to ?? from).x, y2: (to ?? from).y};
    for (const [name, value] of Object.entries(ends)) line.setAttribute(name, value);
  }
}

function finish() {
  const length = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
  const object = length(points[0], points[1]), shadow = length(points[2], points[3]);
  points = null;
  if (Math.min(object, shadow) < LEAST_PX) return say("Too short to measure. Press the button to try again.");
  const error = Math.max(5, Math.ceil(100 * Math.SQRT2 * Math.hypot(CLICK_PX / object, CLICK_PX / shadow)));
  props.value = {shadow: `${object.toFixed(0)}:${shadow.toFixed(0)}±${error}%`};   // see choose.js
  trigger("apply");
  say("Measured. Enter below when the photo was taken, then press Use this shadow.");
}

button.addEventListener("click", () => {
  if (!shown()) return say("Choose a photo first.");
  points = points ? null : [];
  if (points) {
    shown().querySelector("svg")?.remove();
    shown().scrollIntoView({block: "nearest"});
  }
  say(points ? STEPS[0] : "");
});
document.addEventListener("click", event => {
  if (!points || !event.target.closest(".side .shown")) return;
  const box = shown().getBoundingClientRect();
  points.push({x: event.clientX - box.left, y: event.clientY - box.top});
  draw();
  points.length < 4 ? say(STEPS[points.length]) : finish();
});
document.addEventListener("keydown", event => {
  if (event.key !== "Escape" || !points) return;
  points = null;
  say("");
});
