// Bundles the front end into ../static, with the licences of what is in it: npm install && npm run build [FOLDER]
import { readFileSync, writeFileSync, readdirSync } from "node:fs";
import { build } from "esbuild";

const target = process.argv[2] ?? "../static";
const { dependencies } = JSON.parse(readFileSync("package.json"));

await build({
  entryPoints: ["src/labkit.js", "src/terminal.js"],
  outdir: target,
  bundle: true,
  format: "esm",
  minify: true,
  legalComments: "none",
  loader: { ".css": "text" },
  charset: "utf8",
  target: "es2022",
});

const licences = Object.keys(dependencies).sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version } = JSON.parse(readFileSync(`${folder}/package.json`));
  const file = readdirSync(folder).find((each) => each.startsWith("LICENSE"));
  return `${name} ${version}\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}\n`;
});
writeFileSync(`${target}/LICENSES.txt`, licences.join(`\n${"-".repeat(80)}\n\n`));
