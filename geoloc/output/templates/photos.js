// Many photos: marks that split into smaller groups as the map zooms in, a list of the photos in
// view, and a card for the chosen photo.
const FIELDS = ["name", "lat", "lon", "radius_80_km", "radius", "confidence", "place", "label", "probability", "note",
                "columns", "picture", "regions", "circle"];
const photos = JSON.parse($("photos").textContent).map(values => Object.fromEntries(FIELDS.map((field, i) => [field, values[i]])));
const COLOURS = ["var(--city)", "var(--region)", "var(--country)", "var(--unsure)"];
const GROUP_PX = 52, PAGE_ROWS = 100, SAME_PLACE = .005;
const SEARCH_DELAY_MS = 120, LIST_DELAY_MS = 150;
const count = new Intl.NumberFormat("en").format, plural = n => `${count(n)} photo${n === 1 ? "" : "s"}`;

let matching = [];                                        // photos that pass search and filter, in order
let listView = null;                                      // window of the map whose photos are listed
let inView = [], listedRows = 0;
let chosen = null;

for (const photo of photos) {
  [photo.x, photo.y] = map.project(photo.lat, photo.lon);
  photo.short = photo.name.split("/").pop();
  photo.text = [photo.name, photo.place, ...Object.values(photo.columns)].join(" ").toLowerCase();
}

// ---- marks: groups of photos that are close on the screen

let grouped = {cell: 0, matching: null, groups: []};      // the last result of `groups`

function groups() {                                       // of the whole world, so that moving the map keeps them
  const cell = 2 ** Math.ceil(Math.log2(GROUP_PX * map.unitsPerPixel()));
  if (grouped.cell === cell && grouped.matching === matching) return grouped.groups;
  const cells = new Map();
  for (const photo of matching) {
    const column = Math.floor(photo.x / cell), row = Math.floor(photo.y / cell), key = gridKey(column, row);
    let group = cells.get(key);
    if (!group) cells.set(key, group = {column, row, x: 0, y: 0, photos: []});
    group.x += photo.x; group.y += photo.y; group.photos.push(photo);
  }
  const merged = mergeNeighbours(cells, .7 * cell);
  for (const group of merged) group.label = majority(group.photos.map(photo => photo.label));
  grouped = {cell, matching, groups: merged};
  return merged;
}

function gridKey(column, row) {
  return column * 2 ** 26 + row;
}

function mergeNeighbours(cells, distance) {               // groups with close centres become one; largest first
  const largest = (a, b) => b.photos.length - a.photos.length, mean = (group, axis) => group[axis] / group.photos.length;
  const all = [...cells.values()].sort(largest), removed = new Set();
  for (const group of all) {
    if (removed.has(group)) continue;
    for (let i = 0; i < 9; i++) {
      const other = cells.get(gridKey(group.column + i % 3 - 1, group.row + Math.floor(i / 3) - 1));
      if (!other || other === group || removed.has(other)) continue;
      if (Math.hypot(mean(group, "x") - mean(other, "x"), mean(group, "y") - mean(other, "y")) > distance) continue;
      group.x += other.x; group.y += other.y; group.photos = group.photos.concat(other.photos); removed.add(other);
    }
  }
  const kept = all.filter(group => !removed.has(group)).sort(largest);
  for (const group of kept) { group.x = mean(group, "x"); group.y = mean(group, "y"); }
  return kept;
}

function majority(words) {                                // the word of more than half of them, or ""
  const times = new Map();
  for (const word of words) times.set(word, (times.get(word) || 0) + 1);
  return [...times].find(each => each[1] > words.length / 2)?.[0] || "";
}

make(make(make(map.svg, "defs", {}), "clipPath", {id: "rounded"}), "rect", {x: -21, y: -21, width: 42, height: 42, rx: 7});
const marks = new Map();                                  // group -> node, reused by the next drawing

function drawMarks() {
  const [left, top, right, bottom] = map.extent(map.view), middle = map.view[0] + map.view[2] / 2, margin = GROUP_PX * map.unitsPerPixel();
  const visible = new Set(), labels = new Set();
  for (const group of groups()) {
    const x = map.nearestCopy(group.x, middle), y = group.y;
    if (x < left - margin || x > right + margin || y < top - margin || y > bottom + margin) continue;
    visible.add(group);
    if (!marks.has(group)) marks.set(group, drawMark(group));
    const node = marks.get(group);
    node.dataset.at = `${x} ${y}`;
    node.classList.toggle("named", !labels.has(group.label));     // each name appears once
    labels.add(group.label);
  }
  for (const [group, node] of marks) if (!visible.has(group)) { node.remove(); marks.delete(group); }
}

function drawMark(group) {
  const first = group.photos.find(photo => photo.picture) || group.photos[0], size = group.photos.length, label = group.label;
  const title = size > 1 ? `${plural(size)}${label && ", most of " + label}` : `${first.short}, ${statement(first)}`;
  const node = make(map.layers.marks, "g", {class: "mark", role: "button", tabindex: -1, "aria-label": title});
  make(node, "title", {}, title);
  const colour = `fill:${COLOURS[first.confidence]}`;
  if (first.picture) {
    make(node, "rect", {class: "edge", x: -22, y: -22, width: 44, height: 44, rx: 8});
    make(node, "image", {href: first.picture, x: -21, y: -21, width: 42, height: 42, preserveAspectRatio: "xMidYMid slice", "clip-path": "url(#rounded)"});
  }
  if (size > 1) drawCount(node, size, first.picture);
  else make(node, "circle", first.picture ? {class: "dot", style: colour, cx: 17, cy: 17, r: 7} : {class: "dot", style: colour, r: 8});
  if (label) make(node, "text", {class: "label", y: first.picture ? 38 : 26}, label);
  node.onclick = () => open(group);
  node.onkeydown = event => { if (event.key === "Enter" || event.key === " ") { open(group); event.preventDefault(); event.stopPropagation(); } };
  return node;
}

function drawCount(node, size, onPicture) {
  const text = size < 1000 ? String(size) : size < 10000 ? (size / 1000).toFixed(1) + "k" : Math.round(size / 1000) + "k";
  const width = 12 + 7 * text.length, height = onPicture ? 18 : Math.max(24, width);
  const [x, y] = onPicture ? [20, -20] : [0, 0], wide = Math.max(width, height);
  make(node, "rect", {class: "many", x: x - wide / 2, y: y - height / 2, width: wide, height, rx: height / 2});
  make(node, "text", {class: "count", x, y}, text);
}

function open(group) {                                    // zooms in as long as that can split the group
  const [x, y, side] = map.windowOf(group.photos);
  const spread = Math.max(...[photo => map.nearestCopy(photo.x, group.x), photo => photo.y].map(position => {
    const [least, most] = map.range(group.photos.map(position));
    return most - least;
  }));
  if (group.photos.length === 1 || spread < SAME_PLACE) choose(group.photos[0]);
  else {
    const closer = Math.min(side, map.view[2] * .7);
    map.setView([x + (side - closer) / 2, y + (side - closer) / 2, closer, closer]);
    map.onMove();
  }
}

// ---- the chosen photo

function statement(photo) {
  const confidence = data.confidences[photo.confidence];
  return confidence === "not sure" ? `not sure, perhaps ${photo.place}` : `${photo.label || photo.place} (sure of the ${confidence})`;
}

function choose(photo) {                                  // the list stays as it is: `listView` does not change
  chosen = photo;
  $("card").hidden = !photo;
  map.regions(photo ? data.levels.flatMap((level, i) => photo.regions[i] ? [{level, path: photo.regions[i], steps: data.base.tileSteps}] : []) : []);
  map.drawCircle(photo?.circle ? photo : null);
  map.pins(photo ? [{lat: photo.lat, lon: photo.lon, kind: "answer", title: photo.short}] : []);
  if (photo) {
    fillCard(photo);
    map.setView(map.windowAround(...map.circle(photo).box));
  } else map.draw();
  for (const button of rowButtons()) button.setAttribute("aria-current", String(button.photo === chosen));
}

function fillCard(photo) {
  const card = $("card");
  card.replaceChildren();
  card.scrollTop = 0;
  if (photo.picture) make(card, "img", {src: photo.picture, alt: ""});
  const close = make(card, "button", {id: "close", type: "button", "aria-label": "Close"}, "×");
  close.onclick = () => choose(null);
  make(card, "h2", {}, photo.short);
  make(card, "p", {}, statement(photo));
  make(card, "p", {}, `8 of 10 photos like this lie within ${photo.radius} of the best guess.`);
  const table = make(card, "dl", {});
  const rows = [["best guess", photo.place], ["coordinates", `${photo.lat.toFixed(4)}, ${photo.lon.toFixed(4)}`],
                ["within 25 km", photo.probability], ["file", photo.name], ...Object.entries(photo.columns)];
  for (const [name, value] of rows) if (value !== null && value !== "") { make(table, "dt", {}, name); make(table, "dd", {}, String(value)); }
  if (photo.note) make(card, "p", {}, photo.note);
  const panel = card.parentElement;                       // scrolls on narrow or low screens; the card's top must be visible
  panel.scrollTop += card.getBoundingClientRect().top - panel.getBoundingClientRect().top;
}

// ---- search, filter and list

function filter() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const enabled = [...$("confidences").querySelectorAll("input")].map(box => box.checked);
  matching = photos.filter(photo => enabled[photo.confidence] && words.every(word => photo.text.includes(word)));
  const order = {sure: (a, b) => a.radius_80_km - b.radius_80_km, unsure: (a, b) => b.radius_80_km - a.radius_80_km,
                 name: (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0}[$("order").value];
  if (order) matching = matching.sort(order);
  map.draw();
  list();
}

function list() {                                         // photos within `listView`; unchanged ones keep their rows
  const [left, top, right, bottom] = map.extent(listView), middle = listView[0] + listView[2] / 2;
  const before = inView;
  inView = matching.filter(photo => {
    const x = map.nearestCopy(photo.x, middle);
    return x >= left && x <= right && photo.y >= top && photo.y <= bottom;
  });
  const matches = matching.length < photos.length ? `${count(matching.length)} of ${plural(photos.length)} match` : plural(photos.length);
  $("shown").textContent = inView.length === matching.length ? matches : `${matches}, ${count(inView.length)} in view`;
  if (inView.length !== before.length || inView.some((photo, i) => photo !== before[i])) listAgain();
}

function listAgain() {
  const focused = $("list").contains(document.activeElement) && document.activeElement.photo;
  $("list").replaceChildren();
  $("results").scrollTop = listedRows = 0;
  listMore();
  if (focused) [...rowButtons()].find(button => button.photo === focused)?.focus();
}

function listMore() {
  for (const photo of inView.slice(listedRows, listedRows + PAGE_ROWS)) listRow(photo);
  listedRows = Math.min(inView.length, listedRows + PAGE_ROWS);
  $("more").hidden = listedRows >= inView.length;
}

function listRow(photo) {
  const button = make(make($("list"), "li", {}), "button", {type: "button", "aria-current": String(photo === chosen)});
  button.photo = photo;
  if (photo.picture) make(button, "img", {src: photo.picture, alt: ""});
  else if (data.pictures) make(button, "b", {});
  const text = make(button, "span", {});
  make(text, "span", {title: photo.name}, photo.short);
  const place = make(text, "small", {});
  make(place, "i", {style: `background:${COLOURS[photo.confidence]}`});
  place.append(statement(photo));
  make(text, "small", {}, `within ${photo.radius}`);
  button.onclick = () => choose(photo);
}

function rowButtons() {
  return $("list").querySelectorAll("button");
}

let listTimer = 0, searchTimer = 0;

function listSoon() {
  clearTimeout(listTimer);
  listTimer = setTimeout(list, LIST_DELAY_MS);
}

map.onDraw = drawMarks;
map.onMove = () => {
  listView = map.view.slice();
  listSoon();
};
addEventListener("resize", listSoon);

// ---- the page

data.confidences.forEach((name, i) => {
  const label = make($("confidences"), "label", {}), number = photos.filter(photo => photo.confidence === i).length;
  make(label, "input", {type: "checkbox", checked: ""}).onchange = filter;
  make(label, "i", {style: `background:${COLOURS[i]}`});
  label.append(`${name} (${count(number)})`);
});
$("title").textContent = `${plural(photos.length)} on the map`;
const limit = data.pictures < photos.length ? `Of ${plural(photos.length)}, ${count(data.pictures)} are shown with pictures and areas, all as dots. ` : "";
$("legend").textContent = `${limit}The circle contains 8 of 10 photos like the chosen one; in 50, 80 and 95 of 100 cases it is inside the shaded areas.`;
$("search").oninput = () => { clearTimeout(searchTimer); searchTimer = setTimeout(filter, SEARCH_DELAY_MS); };
$("order").onchange = filter;
$("more").onclick = () => { const next = listedRows; listMore(); $("list").children[next]?.firstChild.focus(); };
$("list").onkeydown = event => {
  const item = document.activeElement.closest("li"), target = {ArrowDown: item?.nextSibling, ArrowUp: item?.previousSibling}[event.key];
  if (target) { target.firstChild.focus(); event.preventDefault(); }
};
map.svg.addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.target !== map.svg) return;
  const x = map.view[0] + map.view[2] / 2, y = map.view[1] + map.view[3] / 2;
  const distance = group => Math.hypot(map.nearestCopy(group.x, x) - x, group.y - y);
  const nearest = groups().reduce((best, group) => best && distance(best) <= distance(group) ? best : group, null);
  if (nearest) open(nearest);
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape" && chosen) choose(null);
  if (event.key === "/" && document.activeElement !== $("search")) { $("search").focus(); event.preventDefault(); }
});
if (photos.length) map.home = () => map.setView(map.windowOf(photos));
map.home();
listView = map.view.slice();
filter();
