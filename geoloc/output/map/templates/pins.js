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
