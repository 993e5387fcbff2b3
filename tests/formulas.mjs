// book/play/formulas.js on numbers that Python gives: node tests/formulas.mjs CASES.json prints what it makes of them.
import fs from "node:fs";
import vm from "node:vm";

const {cases, size, schedules, steps, ring, x0, noise, seen} = JSON.parse(fs.readFileSync(process.argv[2]));
const formulas = fs.readFileSync(new URL("../book/play/formulas.js", import.meta.url), "utf8");
const names = "OPERATORS, METHODS, walk, pinv, scheduled, normals";
const F = vm.runInThisContext(`(() => {const CONSTANTS = {size: ${size}};${formulas}\nreturn {${names}};})()`);

const picture = Float64Array.from(x0);
const v = async (x, t) => x.map((a) => 0.9 * Math.sin(a) - 0.3 * a + t / 2000); // a network that is a formula
const vjp = async (x, t, u) => u.map((w, i) => w * (0.9 * Math.cos(x[i]) - 0.3));

const out = [];
for (const {task, method, y, sigma, ...own} of cases) {
  const A = F.OPERATORS[task](seen), S = F.scheduled(schedules[`${method} ${steps}`] || schedules[`even ${steps}`], ring), m = {y: Float64Array.from(y), A, sigma};
  const draws = noise.map((z) => Float64Array.from(z)), states = [];
  const step = F.METHODS[method]({S, v, vjp}, own);
  for await (const state of F.walk(step, S, m, () => draws.shift())) states.push({...state, left: noise.length - draws.length});
  const {x, passes} = states.at(-1);
  // For one task the second half of the loop again, from where the first has ended.
  const {x: between, k, left} = states[S.t / 2 - 1], late = noise.slice(left).map((z) => Float64Array.from(z));
  let again = [];
  if (task === "sr4") for await (const state of F.walk(step, S, m, () => late.shift(), between, k - 1)) again = state.x;
  out.push({x: [...x], again: [...again], passes, Ax: [...A.A(picture)], pinv: [...F.pinv(A, m.y)], adjoint: [...A.adjoint(m.y)]});
}
const z = F.normals(7)(20000), mean = z.reduce((a, b) => a + b) / z.length;
console.log(JSON.stringify({out, normals: {mean, variance: z.reduce((a, b) => a + (b - mean) ** 2, 0) / z.length}}));
