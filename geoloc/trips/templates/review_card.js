// The chosen group: its card, accepting and resetting it, and placing it by coordinates or a town's name.
const TOWN_KM = 5, MOST_SUGGESTED = 8, FAR_KM = 20000, NEAR_KM = 30;
const towns = data.towns.map(([name, country, lat, lon], size) => ({name, country, lat, lon, size, key: folded(name)}));

function choose(group, move = true) {
  chosen = group;
  for (const button of $("list").querySelectorAll("button")) button.setAttribute("aria-current", String(button.group === group));
  fillCard();
  if (group && move && group.lat !== null) {
    const {box} = map.circle({...group, radius_80_km: Math.max(.5, group.radius_80_km || 0)});
    map.setView(map.windowAround(...box));
    map.onMove();
  } else map.draw();
  if (group) { rowOf(group)?.scrollIntoView({block: "nearest"}); $("card").scrollIntoView({block: "nearest"}); }
}

function fillCard() {
  const card = $("card"), group = chosen;
  card.hidden = !group;
  card.replaceChildren();
  if (!group) return;
  make(card, "h2", {}, titleOf(group));
  make(card, "p", {}, `${plural(group.photos.length)}, ${span(group)}`);
  make(card, "p", {}, found(group));
  const pictures = make(card, "div", {class: "pictures"});
  for (const photo of group.photos) if (photo.picture) make(pictures, "img", {src: photo.picture, alt: photo.name, title: photo.name});
  if (group.measured) return;
  const tools = make(card, "div", {class: "tools"});
  const button = (label, key, action, disabled) => {
    const node = make(tools, "button", {type: "button", "aria-keyshortcuts": key, ...disabled ? {disabled: ""} : {}}, label);
    make(node, "kbd", {"aria-hidden": "true"}, key);
    node.onclick = action;
    return node;
  };
  button("Accept", "A", acceptChosen, group.accepted || group.lat === null).className = "primary";
  button("Next", "N", nextOpen);
  button("Reset", "R", resetChosen, group.by === "estimate" && !group.accepted);
  placeForm(card, group);
  button("Put it in the middle of the map", "P", placeChosen);
}

function titleOf(group) {                                 // the name of its place as it is now
  if (group.by === "estimate" || group.lat === null) return group.photos[0].place || group.photos[0].name;
  const near = nearestTown(group);
  return near ? titled(near) : `${group.lat.toFixed(3)}, ${group.lon.toFixed(3)}`;
}

function found(group) {                                   // how its place was found, in words
  const hows = [...new Set(group.photos.map(photo => photo.how))];
  const how = group.by === "estimate" ? `${hows.slice(0, 2).join("; ")}${hows.length > 2 ? "; …" : ""}.` : `${HOW[group.by]}.`;
  const radius = group.measured || group.lat === null || group.by === "moved" ? "" : group.by === "hand" ? ` To about ${distance(group.radius_80_km)}.`
    : ` 8 of 10 such photos lie within ${distance(group.radius_80_km)}.`;
  return how[0].toUpperCase() + how.slice(1) + radius;
}

function acceptChosen() { if (chosen && accept([chosen]).length) changed(); nextOpen(); }
function resetChosen() { if (chosen && !chosen.measured) { reset(chosen); changed(); } }
function placeChosen() { if (chosen && !chosen.measured) placeAt(chosen, map.view[0] + map.view[2] / 2, map.view[1] + map.view[3] / 2); }

function nextOpen() {                                     // the next group to be decided, in the order of the list
  const ordered = inOrder(groups), after = [...ordered.slice(ordered.indexOf(chosen) + 1), ...ordered];
  const next = after.find(isUndecided);
  if (next) choose(next);
  else say("All groups are decided. Export the decisions now.");
}

// ---- placing by text: "48.8583, 2.2945", or a town

function placeForm(card, group) {
  const form = make(card, "form", {class: "place"});
  const field = make(form, "input", {id: "at", list: "towns", placeholder: "Town, or latitude, longitude", "aria-label": "Town, or latitude, longitude", "aria-keyshortcuts": "T", autocomplete: "off"});
  make(form, "button", {type: "submit"}, "Place there");
  const names = make(form, "datalist", {id: "towns"});
  field.oninput = () => names.replaceChildren(...suggested(field.value, group).map(town => new Option(titled(town))));
  form.onsubmit = event => {
    event.preventDefault();
    const at = coordinates(field.value) || townOf(field.value, group);
    if (!at) say(`“${field.value}” is no town that this page knows; give latitude and longitude in degrees, such as 48.8583, 2.2945.`);
    else { placeKnown(group, at); choose(group); }
  };
}

function coordinates(text) {                              // with the accuracy of their last digit, in km
  const numbers = text.split(/[,;\s]+/).filter(Boolean), [lat, lon] = numbers.map(Number);
  if (numbers.length !== 2 || !(Math.abs(lat) <= 90 && Math.abs(lon) <= 180)) return null;
  const decimals = Math.min(...numbers.map(number => number.split(".")[1]?.length ?? 0));
  return {lat, lon, km: Math.max(.01, 111 / 10 ** decimals)};
}

function folded(name) { return name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim(); }
const titled = town => `${town.name}, ${town.country}`;

function suggested(text, group) {                         // whole names first, then the nearest
  const key = folded(text);
  if (key.length < 2) return [];
  const from = group.lat === null ? null : group, whole = town => town.key === key ? 0 : FAR_KM;
  const far = town => whole(town) + (from ? kmBetween(from, town) : town.size);
  return towns.filter(town => town.key.startsWith(key)).sort((a, b) => far(a) - far(b)).slice(0, MOST_SUGGESTED);
}

function townOf(text, group) {
  const name = folded(text), town = towns.find(each => folded(titled(each)) === name) || suggested(text, group)[0];
  return town && {...town, km: TOWN_KM};
}

function nearestTown(group) {
  const near = towns.reduce((best, town) => { const km = kmBetween(group, town); return km < best.km ? {km, town} : best; }, {km: NEAR_KM});
  return near.town;
}

const placeKnown = (group, {lat, lon, km}) => onPlaced(group, place(group, lat, lon, km));
