// book/play/formulas.js on numbers that Python gives: node tests/formulas.mjs CASES.json prints what it makes of them.
import fs from "node:fs";
import vm from "node:vm";

const formulas = fs.readFileSync(new URL("../book/play/formulas.js", import.meta.url), "utf8");
const names = "inpainting, superResolution, colorization, deblurring, measure, pinv, scheduled, restore, psnr, waves, normals";
const F = vm.runInThisContext(`(() => {${formulas}\nreturn {${names}};})()`);

const {cases, schedule, ring, x0, noise, seen} = JSON.parse(fs.readFileSync(process.argv[2]));
const OPERATORS = {
  "inpaint-box": () => F.inpainting(seen),
  sr4: () => F.superResolution(4),
  sr16: () => F.superResolution(16),
  colorize: F.colorization,
  deblur: F.deblurring,
};
const picture = Float64Array.from(x0);
const v = async (x, t) => x.map((a) => 0.9 * Math.sin(3 * a) - 0.3 * a + t / 2000); // a network that is a formula
const vjp = async (x, t, u) => u.map((w, i) => w * (2.7 * Math.cos(3 * x[i]) - 0.3));

const out = [];
for (const {task, method, y, ...own} of cases) {
  const A = OPERATORS[task](), S = F.scheduled(schedule.timestep, schedule.alpha_bar);
  const spectrum = schedule.rings.map((line) => line && F.waves(line, ring));
  const draws = noise.map((z) => Float64Array.from(z)), m = {y: Float64Array.from(y), A, spectrum, ...own};
  let x = null;
  for await (const step of F.restore(method, {S, v, vjp}, m, () => draws.shift())) x = step.x;
  out.push({x: [...x], Ax: [...A.A(picture)], pinv: [...F.pinv(A, m.y)], adjoint: [...A.adjoint(m.y)]});
}
const z = F.normals(7)(20000), mean = z.reduce((a, b) => a + b) / z.length;
console.log(JSON.stringify({out, normals: {mean, variance: z.reduce((a, b) => a + (b - mean) ** 2, 0) / z.length}}));
