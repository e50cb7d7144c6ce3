// The places to search in: found by name with the help of the server, or drawn on the map of the same tab (draw_tools.js).
// Only this script changes its value: an answer of the server that came late would undo a later choice.
const input = element.querySelector("input"), list = element.querySelector("[role=listbox]"), chosen = element.querySelector(".chosen");
const WAIT_MS = 150;
const tab = element.closest("[role=tabpanel]") || document;
let found = [], marked = -1, timer = 0, asked = 0;

const areas = () => props.value?.areas || [];
function set(next) {                          // see choose.js for why the value is not event data
  props.value = {areas: next};
  showChosen();                               // a change by a script is not watched
  element.dispatchEvent(new CustomEvent("areas-chosen", {bubbles: true, detail: next}));
  trigger("apply");
}

function row(parent, tag, attributes, text) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.append(text);
  parent.append(node);
  return node;
}

function showChosen() {
  chosen.replaceChildren();
  areas().forEach((area, i) => {
    const label = area.label || area.text || `a ${area.kind} drawn on the map`, item = row(chosen, "li", {});
    row(item, area.problem ? "s" : "span", {}, label);
    const remove = row(item, "button", {type: "button", "aria-label": `Remove ${label}`}, "×");
    remove.onclick = () => { set(areas().filter((_, other) => other !== i)); input.focus(); };
    if (area.problem) row(item, "small", {class: "problem", role: "alert"}, area.problem);
  });
}
watch("value", showChosen);
showChosen();

function open(next) {
  found = next;
  marked = -1;
  list.replaceChildren();
  found.forEach((place, i) => {
    const option = row(list, "li", {role: "option", id: `${list.id}-${i}`, "aria-selected": "false"}, place.text);
    row(option, "small", {}, place.kind);
    option.onpointerdown = event => { event.preventDefault(); add(place.text); };
  });
  list.hidden = !found.length;
  input.setAttribute("aria-expanded", String(Boolean(found.length)));
  input.removeAttribute("aria-activedescendant");
}

function mark(step) {
  if (!found.length) return;
  marked = (marked + step + found.length) % found.length;
  [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === marked)));
  input.setAttribute("aria-activedescendant", `${list.id}-${marked}`);
}

function add(text) {
  asked++;                                    // an answer on its way must not open the list again
  clearTimeout(timer);
  input.value = "";
  open([]);
  if (text.trim()) addArea({kind: "name", text: text.trim()});
}

async function addArea(area) {                // with its full name, or with what is wrong with it
  const named = await server.named(area);
  set([...areas().filter(other => !other.problem && other.label !== named.label), named]);
}
tab.addEventListener("area-drawn", event => addArea(event.detail));

input.addEventListener("input", () => {
  clearTimeout(timer);
  const text = input.value;
  if (text.trim().length < 2) return open([]);
  timer = setTimeout(async () => {
    const mine = ++asked, answer = await server.search(text);
    if (mine === asked) open(answer);
  }, WAIT_MS);
});
input.addEventListener("keydown", event => {
  if (event.key === "ArrowDown") mark(1);
  else if (event.key === "ArrowUp") mark(-1);
  else if (event.key === "Escape") open([]);
  else if (event.key === "Enter") add(marked >= 0 ? found[marked].text : input.value);
  else return;
  event.preventDefault();
});
input.addEventListener("blur", () => open([]));
