// Many photos: clusters that open as one zooms in, a list that follows the map, and one chosen photo.
const FIELDS = ["name", "lat", "lon", "radius_km", "radius", "confidence", "place", "label", "belief", "note",
                "columns", "picture", "region"];
const photos = JSON.parse($("photos").textContent).map(values => Object.fromEntries(FIELDS.map((field, i) => [field, values[i]])));
const COLOURS = ["var(--city)", "var(--region)", "var(--country)", "var(--unsure)"];
const CLUSTER_PX = 52, PAGE = 100, NEAR = .005, LEAST_WINDOW = 1, EARTH_KM = 6371.0088;
const count = new Intl.NumberFormat("en").format, plural = n => `${count(n)} photo${n === 1 ? "" : "s"}`;
let matching = [], inView = [], listed = 0, chosen = null, following = true;

for (const photo of photos) {
  [photo.x, photo.y] = project(photo.lat, photo.lon);
  photo.short = photo.name.split("/").pop();
  photo.text = [photo.name, photo.place, ...Object.values(photo.columns)].join(" ").toLowerCase();
}

function project(lat, lon) {                              // as geoloc/drawing.py does
  const north = Math.max(-85.05, Math.min(85.05, lat)) * Math.PI / 180;
  return [(lon + 180) / 360 * data.size, (.5 - Math.asinh(Math.tan(north)) / (2 * Math.PI)) * data.size];
}

function beside(x, middle) {                              // the same place on the turn of the world nearest to `middle`
  return x - data.size * Math.round((x - middle) / data.size);
}

function seen() {                                         // left, top, right, bottom of what the screen shows
  const box = svg.getBoundingClientRect(), s = scale() / 2;
  const x = view[0] + view[2] / 2, y = view[1] + view[3] / 2;
  return [x - box.width * s, y - box.height * s, x + box.width * s, y + box.height * s];
}

function windowOf(left, top, right, bottom) {             // a square around a box, with some air
  const side = Math.min(data.size, Math.max(LEAST_WINDOW, 1.25 * Math.max(right - left, bottom - top)));
  const y = Math.max(0, Math.min(data.size - side, (top + bottom - side) / 2));
  return [(left + right - side) / 2, y, side, side];
}

function around(some) {                                   // the smallest such square; it may cross the antimeridian
  const xs = some.map(photo => photo.x).sort((a, b) => a - b), ys = some.map(photo => photo.y);
  let start = 0, gap = xs[0] + data.size - xs.at(-1);
  for (let i = 1; i < xs.length; i++) if (xs[i] - xs[i - 1] > gap) [gap, start] = [xs[i] - xs[i - 1], i];
  const least = (a, b) => Math.min(a, b), most = (a, b) => Math.max(a, b);
  return windowOf(xs[start], ys.reduce(least), xs[start] + data.size - gap, ys.reduce(most));
}

// ---- marks on the map

let known = {cell: 0, matching: null, groups: []};

function clusters() {                                     // all over the world: moving the map needs no new ones
  const cell = 2 ** Math.ceil(Math.log2(CLUSTER_PX * scale()));
  if (known.cell === cell && known.matching === matching) return known.groups;
  const cells = new Map();
  for (const photo of matching) {
    const column = Math.floor(photo.x / cell), row = Math.floor(photo.y / cell), key = column * 2 ** 26 + row;
    let group = cells.get(key);
    if (!group) cells.set(key, group = {column, row, x: 0, y: 0, photos: []});
    group.x += photo.x; group.y += photo.y; group.photos.push(photo);
  }
  const groups = merged(cells, .7 * cell);
  for (const group of groups) group.label = commonest(group.photos.map(photo => photo.label));
  known = {cell, matching, groups};
  return groups;
}

function merged(cells, distance) {                        // groups whose middles are close become one; the largest first
  const largest = (a, b) => b.photos.length - a.photos.length, at = (group, axis) => group[axis] / group.photos.length;
  const groups = [...cells.values()].sort(largest), gone = new Set();
  for (const group of groups) {
    if (gone.has(group)) continue;
    for (let i = 0; i < 9; i++) {
      const other = cells.get((group.column + i % 3 - 1) * 2 ** 26 + group.row + Math.floor(i / 3) - 1);
      if (!other || other === group || gone.has(other)) continue;
      if (Math.hypot(at(group, "x") - at(other, "x"), at(group, "y") - at(other, "y")) > distance) continue;
      group.x += other.x; group.y += other.y; group.photos = group.photos.concat(other.photos); gone.add(other);
    }
  }
  const kept = groups.filter(group => !gone.has(group)).sort(largest);
  for (const group of kept) { group.x = at(group, "x"); group.y = at(group, "y"); }
  return kept;
}

const marks = new Map();                                  // kept from one drawing to the next

function drawMarks() {
  const [left, top, right, bottom] = seen(), middle = view[0] + view[2] / 2, air = CLUSTER_PX * scale();
  const shown = new Set(), labels = new Set();
  for (const group of clusters()) {
    const x = beside(group.x, middle), y = group.y;
    if (x < left - air || x > right + air || y < top - air || y > bottom + air) continue;
    shown.add(group);
    if (!marks.has(group)) marks.set(group, mark(group));
    const node = marks.get(group);
    node.dataset.at = `${x} ${y}`;
    node.classList.toggle("named", !labels.has(group.label));     // each name stands there once
    labels.add(group.label);
  }
  for (const [group, node] of marks) if (!shown.has(group)) { node.remove(); marks.delete(group); }
}

function mark(group) {
  const first = group.photos.find(photo => photo.picture) || group.photos[0], many = group.photos.length, label = group.label;
  const said = many > 1 ? `${plural(many)}${label && ", most of " + label}` : `${first.short}, ${statement(first)}`;
  const node = make($("marks"), "g", {class: "mark", role: "button", tabindex: -1, "aria-label": said});
  make(node, "title", {}, said);
  const colour = `fill:${COLOURS[first.confidence]}`;
  if (first.picture) {
    make(node, "rect", {class: "edge", x: -22, y: -22, width: 44, height: 44, rx: 8});
    make(node, "image", {href: first.picture, x: -21, y: -21, width: 42, height: 42, preserveAspectRatio: "xMidYMid slice", "clip-path": "url(#rounded)"});
  }
  if (many > 1) badge(node, many, first.picture);
  else make(node, "circle", first.picture ? {class: "dot", style: colour, cx: 17, cy: 17, r: 7} : {class: "dot", style: colour, r: 8});
  if (label) make(node, "text", {class: "label", y: first.picture ? 38 : 26}, label);
  node.onclick = () => open(group);
  node.onkeydown = event => { if (event.key === "Enter" || event.key === " ") { open(group); event.preventDefault(); event.stopPropagation(); } };
  return node;
}

function badge(node, many, onPicture) {
  const text = many < 1000 ? String(many) : many < 10000 ? (many / 1000).toFixed(1) + "k" : Math.round(many / 1000) + "k";
  const width = 12 + 7 * text.length, height = onPicture ? 18 : Math.max(24, width);
  const [x, y] = onPicture ? [20, -20] : [0, 0], wide = Math.max(width, height);
  make(node, "rect", {class: "many", x: x - wide / 2, y: y - height / 2, width: wide, height, rx: height / 2});
  make(node, "text", {class: "count", x, y}, text);
}

function commonest(words) {                                // the word of more than half of them, or none
  const times = new Map();
  for (const word of words) times.set(word, (times.get(word) || 0) + 1);
  return [...times].find(each => each[1] > words.length / 2)?.[0] || "";
}

function open(group) {                                    // closer, as long as that parts them
  const [x, y, side] = around(group.photos);
  const spread = Math.max(...["x", "y"].map(axis => {
    const values = group.photos.map(photo => axis === "x" ? beside(photo.x, group.x) : photo.y);
    return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
  }));
  if (group.photos.length === 1 || spread < NEAR) choose(group.photos[0]);
  else {
    const closer = Math.min(side, view[2] * .7);
    view = [x + (side - closer) / 2, y + (side - closer) / 2, closer, closer];
    move(0, 0);
  }
}

// ---- the chosen photo

function statement(photo) {
  const sure = data.confidences[photo.confidence];
  return sure === "not sure" ? `not sure, perhaps ${photo.place}` : `${photo.label || photo.place} (sure of the ${sure})`;
}

function circle(photo) {                                  // on the sphere; cut where it goes around a pole
  const lat = photo.lat * Math.PI / 180, reach = Math.min(photo.radius_km, 20000) / EARTH_KM;
  let path = "", box = [Infinity, Infinity, -Infinity, -Infinity], before = null;
  for (let bearing = 0; bearing <= 360; bearing += 2) {
    const angle = bearing * Math.PI / 180;
    const north = Math.asin(Math.sin(lat) * Math.cos(reach) + Math.cos(lat) * Math.sin(reach) * Math.cos(angle));
    const east = Math.atan2(Math.sin(angle) * Math.sin(reach) * Math.cos(lat), Math.cos(reach) - Math.sin(lat) * Math.sin(north));
    const [far, y] = project(north * 180 / Math.PI, photo.lon + east * 180 / Math.PI), x = beside(far, photo.x);
    path += `${before === null || Math.abs(x - before) > data.size / 2 ? "M" : "L"}${x.toFixed(4)},${y.toFixed(4)}`;
    box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
    before = x;
  }
  return {path, box};
}

function choose(photo) {
  chosen = photo;
  $("cells").replaceChildren();
  $("pins").replaceChildren();
  $("card").hidden = !photo;
  if (photo) {
    const {path, box} = circle(photo), opacity = [.55, .35, .18];
    $("circle").setAttribute("d", path);
    photo.region.forEach((rows, i) => make($("cells"), "path", {d: rows.map(row => data.cells[row]).join(""), "fill-opacity": opacity[i]}));
    card(photo);
    view = windowOf(...box);
    following = false;                                    // the list stays, to go on with
    move(0, 0);
    following = true;
  } else { $("circle").setAttribute("d", ""); draw(); }
  for (const button of $("list").querySelectorAll("button")) button.setAttribute("aria-current", String(button.photo === chosen));
}

function card(photo) {
  const card = $("card");
  card.replaceChildren();
  card.scrollTop = 0;
  if (photo.picture) make(card, "img", {src: photo.picture, alt: ""});
  const close = make(card, "button", {id: "close", type: "button", "aria-label": "Close"}, "×");
  close.onclick = () => choose(null);
  make(card, "h2", {}, photo.short);
  make(card, "p", {}, statement(photo));
  make(card, "p", {}, `8 of 10 photos like this lie within ${photo.radius} of the first place.`);
  const table = make(card, "dl", {});
  const rows = [["first place", photo.place], ["coordinates", `${photo.lat.toFixed(4)}, ${photo.lon.toFixed(4)}`],
                ["belief", photo.belief], ["file", photo.name], ...Object.entries(photo.columns)];
  for (const [name, value] of rows) if (value !== null && value !== "") { make(table, "dt", {}, name); make(table, "dd", {}, String(value)); }
  if (photo.note) make(card, "p", {}, photo.note);
  card.scrollIntoView({block: "nearest"});
}

// ---- search, filter and list

function filter() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = [...$("confidences").querySelectorAll("input")].map(box => box.checked);
  matching = photos.filter(photo => wanted[photo.confidence] && words.every(word => photo.text.includes(word)));
  const by = {sure: (a, b) => a.radius_km - b.radius_km, unsure: (a, b) => b.radius_km - a.radius_km,
              name: (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0}[$("order").value];
  if (by) matching = matching.sort(by);
  draw();
  list();
}

function list() {
  const [left, top, right, bottom] = seen(), middle = view[0] + view[2] / 2;
  inView = matching.filter(photo => {
    const x = beside(photo.x, middle);
    return x >= left && x <= right && photo.y >= top && photo.y <= bottom;
  });
  const some = matching.length < photos.length ? `${count(matching.length)} of ${plural(photos.length)} match` : plural(photos.length);
  $("shown").textContent = inView.length === matching.length ? some : `${some}, ${count(inView.length)} in view`;
  const focused = $("list").contains(document.activeElement) && document.activeElement.photo;
  $("list").replaceChildren();
  $("results").scrollTop = listed = 0;
  more();
  if (focused) [...$("list").querySelectorAll("button")].find(button => button.photo === focused)?.focus();
}

function more() {
  for (const photo of inView.slice(listed, listed + PAGE)) {
    const button = make(make($("list"), "li", {}), "button", {type: "button", "aria-current": String(photo === chosen)});
    button.photo = photo;
    if (photo.picture) make(button, "img", {src: photo.picture, alt: "", loading: "lazy"});
    else if (data.pictures) make(button, "b", {});
    const text = make(button, "span", {});
    make(text, "span", {title: photo.name}, photo.short);
    const place = make(text, "small", {});
    make(place, "i", {style: `background:${COLOURS[photo.confidence]}`});
    place.append(statement(photo));
    make(text, "small", {}, `within ${photo.radius}`);
    button.onclick = () => choose(photo);
  }
  listed = Math.min(inView.length, listed + PAGE);
  $("more").hidden = listed >= inView.length;
}

let soon = 0;
onDraw = () => {
  drawMarks();
  if (chosen) {
    $("pins").replaceChildren();
    pin("first", [beside(chosen.x, view[0] + view[2] / 2), chosen.y], "", chosen.short);
  }
  if (following) { clearTimeout(soon); soon = setTimeout(list, 150); }
};

// ---- the page

for (const [left, top, right, bottom, borders] of data.tiles) {
  make($("details"), "path", {class: "tile", d: `M${left},${top}H${right}V${bottom}H${left}Z`});
  make($("details"), "path", {class: "land", d: borders});
}
data.confidences.forEach((name, i) => {
  const label = make($("confidences"), "label", {}), number = photos.filter(photo => photo.confidence === i).length;
  make(label, "input", {type: "checkbox", checked: ""}).onchange = filter;
  make(label, "i", {style: `background:${COLOURS[i]}`});
  label.append(`${name} (${count(number)})`);
});
$("title").textContent = `${plural(photos.length)} on the map`;
const few = data.pictures < photos.length ? `Of ${plural(photos.length)}, ${count(data.pictures)} are shown with pictures and cells, all as dots. ` : "";
$("legend").textContent = `${few}The dashed circle holds 8 of 10 photos like the chosen one. Made with Natural Earth; places by GeoNames (CC BY 4.0).`;
$("search").oninput = () => { clearTimeout(soon); soon = setTimeout(filter, 120); };
$("order").onchange = filter;
$("more").onclick = () => { const next = listed; more(); $("list").children[next]?.firstChild.focus(); };
$("list").onkeydown = event => {
  const item = document.activeElement.closest("li"), to = {ArrowDown: item?.nextSibling, ArrowUp: item?.previousSibling}[event.key];
  if (to) { to.firstChild.focus(); event.preventDefault(); }
};
svg.addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.target !== svg) return;
  const x = view[0] + view[2] / 2, y = view[1] + view[3] / 2;
  const away = group => Math.hypot(beside(group.x, x) - x, group.y - y);
  const nearest = clusters().reduce((best, group) => best && away(best) <= away(group) ? best : group, null);
  if (nearest) open(nearest);
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape" && chosen) choose(null);
  if (event.key === "/" && document.activeElement !== $("search")) { $("search").focus(); event.preventDefault(); }
});
if (photos.length) home = around(photos);
view = home.slice();
filter();
