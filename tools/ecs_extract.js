// Prints the fields named on stdin, one a line, as the unpacked npm package @elastic/ecs has them:
// node ecs_extract.js PACKAGE < names > extract.json. The test of our field names compares with it.
const path = require("path");
const folder = path.resolve(process.argv[2]);
const about = require(path.join(folder, "package.json"));
const { EcsFlat } = require(path.join(folder, about.main.replace("index.js", "ecs_flat.js")));
const names = require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean).sort();
const fields = {};
for (const name of names) {
  const found = EcsFlat[name];
  if (!found) continue;
  fields[name] = { type: found.type };
  if (found.normalize && found.normalize.length) fields[name].normalize = found.normalize;
  if (found.allowed_values) fields[name].allowed_values = found.allowed_values.map((value) => value.name);
  const file = (found.allowed_values || []).find((value) => name === "event.category" && value.name === "file");
  if (file) fields[name].event_types_of_file = file.expected_event_types;
}
console.log(JSON.stringify({ source: `npm ${about.name} ${about.version}`, fields }, null, 1));
