// frugal/show/moons.js on what Python gives: node tests/moons.mjs CASE.json prints where the points end.
import fs from "node:fs";
import vm from "node:vm";

const text = fs.readFileSync(new URL("../frugal/show/moons.js", import.meta.url), "utf8");
const {hybrid, upper} = vm.runInThisContext(`(() => {${text}\nreturn frugalMoons;})()`);
const {mixture, alpha_bar, settings, noise} = JSON.parse(fs.readFileSync(process.argv[2]));
const points = hybrid(mixture, {alpha_bar}, settings, noise[0].length, (draw, i) => noise[draw][i]);
console.log(JSON.stringify({points, upper: upper(mixture, settings.y, settings.sigma)}));
