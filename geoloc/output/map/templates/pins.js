// Pins of the map, in both of its forms: buttons that name their place, and open a photo if they have one.
const MAP_ANCHORS = {answer: "bottom", yours: "bottom", file: "top", truth: "top"};   // so that neither hides the other

function mapPin(pin, onPin) {
  const button = document.createElement("button"), mark = document.createElement("span");
  button.type = "button";
  button.className = `map-pin ${pin.kind}`;
  button.setAttribute("aria-label", pin.title);            // shown beside the pin while it has the focus
  if (pin.colour) button.style.setProperty("--pin", pin.colour);
  mark.textContent = pin.label || "";
  button.append(mark);
  button.addEventListener("click", event => {
    if (pin.photo === undefined) return;
    event.stopPropagation();
    onPin(pin);
  });
  return {button, anchor: MAP_ANCHORS[pin.kind] || "center"};
}

// Return how far each pin has to move, in pixels, so that none hides another: the nearest ones push each other away.
// `marks` are {x, y, r}: centres and radii of the pins where they would stand.
function mapApart(marks) {
  const at = marks.map(({x, y}) => ({x, y}));
  for (let round = 0; round < 60; round++) {
    let moved = false;
    for (let i = 0; i < at.length; i++) for (let j = 0; j < i; j++) {
      const far = marks[i].r + marks[j].r, dx = at[i].x - at[j].x, dy = at[i].y - at[j].y, near = Math.hypot(dx, dy);
      if (near >= far - .5) continue;
      const angle = near > .1 ? Math.atan2(dy, dx) : 2.4 * i, push = (far - near) / 2;
      at[i].x += push * Math.cos(angle); at[i].y += push * Math.sin(angle);
      at[j].x -= push * Math.cos(angle); at[j].y -= push * Math.sin(angle);
      moved = true;
    }
    if (!moved) break;
  }
  return at.map(({x, y}, i) => [x - marks[i].x, y - marks[i].y]);
}

const MAP_DROPS = {bottom: -20, top: 19, center: 0};        // from the place to the centre of a pin, in pixels

function mapMark(anchor, x, y) {
  return {x, y: y + MAP_DROPS[anchor], r: anchor === "bottom" ? 16 : 12};
}

function mapColour(name, node) {                            // a colour of map.css as WebGL understands it
  const probe = document.createElement("i");
  probe.style.color = `var(--map-${name})`;
  node.append(probe);
  const {color} = getComputedStyle(probe);
  probe.remove();
  return color;
}

function mapLegend(page, data) {                            // shows what is drawn, and nothing else
  const kinds = new Set((data.pins || []).map(pin => pin.kind));
  for (const part of ["circle", "regions", "searched"]) if (data[part]) kinds.add(part);
  for (const item of page.querySelectorAll(".legend [data-kind]")) item.hidden = !kinds.has(item.dataset.kind);
}

function mapPageScrolls() {
  return document.documentElement.scrollHeight > innerHeight + 1;
}
