// What is decided: groups with their places, moves of groups, undo, and decisions as JSON.
const FIELDS = ["name", "sha256", "time", "kind", "lat", "lon", "radius_80_km", "how", "place", "journey", "group", "picture"];
const GROUP_FIELDS = ["lat", "lon", "radius_80_km", "radius_95_km"];
const WORDS = {"measured": "GPS position", "interpolated": "between known places", "recognised": "same scene", "guessed": "by sight",
               "not a place": "not a place"};
const SMALLEST_SHIFT_DEG = 1e-5, MUCH_SURER = 4;
const record = (fields, values) => Object.fromEntries(fields.map((field, i) => [field, values[i]]));
const photos = data.photos.map(values => record(FIELDS, values));
const groups = data.groups.map((values, number) => ({...record(GROUP_FIELDS, values), number, photos: [], accepted: false, by: "estimate"}));

photos.forEach((photo, row) => {
  photo.row = row;
  photo.stamp = photo.time ? Date.parse(photo.time) : NaN;
  groups[photo.group].photos.push(photo);
});
for (const group of groups) {
  const [first] = group.photos, stamps = group.photos.map(photo => photo.stamp).filter(Number.isFinite);
  group.kind = data.kinds[first.kind];
  group.journey = first.journey;
  group.measured = group.kind === "measured";
  group.estimate = {lat: group.lat, lon: group.lon, radius_80_km: group.radius_80_km};
  [group.start, group.end] = stamps.length ? map.range(stamps) : [NaN, NaN];
  group.middle = (group.start + group.end) / 2;
  locate(group);
}

function locate(group) {                                  // map units of its place
  [group.x, group.y] = group.lat === null ? [null, null] : map.project(group.lat, group.lon);
}

// ---- steps that can be undone

const STATE = ["lat", "lon", "radius_80_km", "accepted", "by"];
const steps = [];                                         // the groups that each step changed, with their state before

function step(changed, change) {                          // calls `change` for each of the groups
  steps.push(changed.map(group => [group, record(STATE, STATE.map(field => group[field]))]));
  for (const group of changed) { change(group); locate(group); }
}

function undo() {
  for (const [group, before] of steps.pop() || []) { Object.assign(group, before); locate(group); }
}

const decidable = () => groups.filter(group => !group.measured && group.lat !== null);
const anchored = group => group.measured || group.accepted;
const isUndecided = group => !anchored(group) && group.lat !== null, undecided = () => groups.filter(isUndecided);

function accept(some) {
  const fresh = some.filter(isUndecided);
  if (fresh.length) step(fresh, group => { group.accepted = true; });
  return fresh;
}

function within(km) {                                     // moved groups have no radius of their own
  return undecided().filter(group => group.by === "estimate" && group.radius_95_km !== null && group.radius_95_km <= km);
}

function reset(group) {                                   // back to the estimate, undecided
  step([group], each => { Object.assign(each, each.estimate, {accepted: false, by: "estimate"}); });
}

function place(group, lat, lon, accuracyKm) {             // by hand; neighbours in time follow
  const before = {lat: group.lat, lon: group.lon}, follow = before.lat === null ? [] : followers(group, {lat, lon});
  const shift = [lat - before.lat, ((lon - before.lon + 540) % 360 + 360) % 360 - 180];
  const weight = new Map(follow);
  const moved = follow.filter(([, share]) => share * Math.hypot(...shift) > SMALLEST_SHIFT_DEG).map(([other]) => other);
  step([group, ...moved], each => {
    if (each === group) Object.assign(each, {lat, lon, radius_80_km: accuracyKm, accepted: true, by: "hand"});
    else Object.assign(each, {by: "moved", ...shifted(each, shift, weight.get(each))});
  });
  return moved;
}

function shifted(group, [north, east], share) {
  const lon = group.lon + share * east;
  return {lat: Math.max(-90, Math.min(90, group.lat + share * north)), lon: ((lon + 180) % 360 + 360) % 360 - 180};
}

// Undecided groups of the same journey move along: fully beside the placed group, and less the
// closer in time the next known group is, as on a Brownian bridge. Known is what is measured or
// accepted, or much surer than the placed group was. What was placed by its pictures follows only
// if it was at the same wrong place: nearer to the placed group than that one has moved.
function followers(group, to) {
  if (!Number.isFinite(group.middle)) return [];
  const isKnown = other => anchored(other) || other.estimate.radius_80_km < group.estimate.radius_80_km / MUCH_SURER;
  const others = groups.filter(other => other !== group && other.journey === group.journey && other.lat !== null && Number.isFinite(other.middle));
  const gaps = others.filter(isKnown).map(other => other.middle - group.middle);
  const ends = [-1, 1].map(side => Math.min(...gaps.map(gap => side * gap).filter(gap => gap >= 0)));
  const moved = kmBetween(group, to), follows = other => other.kind === "interpolated" || kmBetween(group, other) < moved;
  return others.filter(other => !isKnown(other) && follows(other)).map(other => {
    const gap = other.middle - group.middle, end = ends[gap < 0 ? 0 : 1];
    return [other, end === Infinity ? 1 : end > 0 ? Math.max(0, 1 - Math.abs(gap) / end) : 0];
  });
}

function positionOf(photo) {                              // of one photo, with the moves of its group
  const group = groups[photo.group];
  if (group.by === "estimate") return photo.lat === null ? null : [photo.lat, photo.lon];
  if (group.by === "hand" || photo.lat === null) return [group.lat, group.lon];
  const {lat, lon} = shifted(photo, [group.lat - group.estimate.lat, group.lon - group.estimate.lon], 1);
  return [lat, lon];
}

function kmBetween(a, b) {
  const [from, to] = [a, b].map(each => each.lat * Math.PI / 180), east = (b.lon - a.lon) * Math.PI / 180;
  return EARTH_RADIUS_KM * Math.acos(Math.min(1, Math.sin(from) * Math.sin(to) + Math.cos(from) * Math.cos(to) * Math.cos(east)));
}

function radiusOf(photo, group) {                         // placed by hand, photos of a day's way are not all at the pin
  if (group.by !== "hand") return photo.radius_80_km;
  const apart = photo.lat === null || group.estimate.lat === null ? 0 : kmBetween(photo, group.estimate);
  return Math.max(group.radius_80_km, Math.min(apart, photo.radius_80_km));
}

// ---- decisions as JSON

const HOW = {hand: "placed by hand", moved: "moved with a neighbour that was placed by hand"};
const DECISION = {estimate: "accepted", hand: "corrected", moved: "moved"};

function decisions() {
  const decided = photos.filter(photo => groups[photo.group].accepted);
  return {
    schema_version: data.schema_version, library: data.library, bundle: data.bundle,
    photos: decided.map(photo => {
      const group = groups[photo.group], [lat, lon] = positionOf(photo);
      return {photo: photo.name, sha256: photo.sha256, lat: +lat.toFixed(6), lon: +lon.toFixed(6),
              radius_80_km: radiusOf(photo, group), kind: group.kind,
              decision: DECISION[group.by], how: HOW[group.by] || photo.how};
    }),
  };
}

function restore(saved) {                                 // decisions of an earlier review of this library
  if (saved.schema_version !== data.schema_version || !Array.isArray(saved.photos)) throw new Error("it holds no decisions of this version");
  const by = Object.fromEntries(Object.entries(DECISION).map(([key, word]) => [word, key])), found = new Map();
  const known = new Map(photos.map(photo => [photo.sha256, photo]));
  for (const each of saved.photos) {
    const photo = known.get(each.sha256);
    if (photo && !groups[photo.group].measured && each.decision in by) found.set(groups[photo.group], {...each, photo});
  }
  if (!found.size) throw new Error("none of its photos is in this library");
  step([...found.keys()], group => {
    const {lat, lon, radius_80_km, decision, photo} = found.get(group);
    Object.assign(group, {accepted: true, by: by[decision]});
    if (decision === "corrected") Object.assign(group, {lat, lon, radius_80_km});
    if (decision === "moved") Object.assign(group, shifted(group.estimate, [lat - photo.lat, lon - photo.lon], 1));
  });
  return found.size;
}
