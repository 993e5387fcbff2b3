/* The playground's worker: the engine, formulas.js and this, in one text, so that a page from a file can
   start it. CONSTANTS, from Python: {size, schedules: {"even STEPS", "METHOD STEPS": {timestep,
   alpha_bar, r2, rings}}, ring}. */

let ort = null;
let files = null;
let stopped = false;
const sessions = {};
const schedules = {};

async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function load({engine, weights, place, forward, vjp}) {
  ort = await self.engineReady;
  ort.env.wasm.numThreads = 1; // more need headers that a page from a file cannot have
  ort.env.wasm.wasmBinary = await unpacked(engine);
  files = {weights: {path: place, data: await unpacked(weights)}, forward, vjp};
  await session("forward");
}

async function session(name) {
  // the longer graph is set up when it is first needed
  sessions[name] ||= await ort.InferenceSession.create(await unpacked(files[name]), {
    executionProviders: ["wasm"],
    externalData: [files.weights],
  });
  return sessions[name];
}

const tensor = (x, ...shape) => new ort.Tensor("float32", Float32Array.from(x), shape);
const picture = (x) => tensor(x, 1, C, N, N);
const network = {
  v: async (x, t) => (await (await session("forward")).run({x: picture(x), t: tensor([t], 1)})).v.data,
  vjp: async (x, t, u) =>
    (await (await session("vjp")).run({x: picture(x), t: tensor([t], 1), u: picture(u)})).back.data,
};

/* job: {task, seen, x0, sigma, steps, seed, draws, methods: [{name, steps, switch, zeta, lam, from}, ...]}.
   Every method starts a draw from the same noise; the one that has used the fewest passes takes the next
   step, so that they run side by side and the frugal one is done first. A method may have steps of its own,
   and one with `from`: {k, x} goes on from x at step k. A test may give y and noise. */
async function play(job) {
  stopped = false;
  const m = given(job);
  if (job.y) m.y = Float64Array.from(job.y);
  for (let draw = 0; draw < job.draws; draw++) {
    let runs = job.methods.map((own, method) => ({
      method,
      passes: 0,
      guess: null,
      chain: begun(own, job, draw, m),
    }));
    while (runs.length) {
      const run = runs.reduce((a, b) => (b.passes < a.passes ? b : a));
      postMessage({kind: "step", draw, method: run.method, ...(await advanced(run, m, job.x0))});
      runs = runs.filter(({k}) => k !== 1);
      await new Promise((resume) => setTimeout(resume)); // lets "stop" in
      if (stopped) return postMessage({kind: "stopped"});
    }
  }
  return postMessage({kind: "done"});
}
function begun({name, from, steps, ...own}, job, draw, m) {
  const t = steps || job.steps;
  const key = `${name} ${t}` in CONSTANTS.schedules ? `${name} ${t}` : `even ${t}`;
  const S = (schedules[key] ||= scheduled(CONSTANTS.schedules[key], CONSTANTS.ring));
  const stream = normals(job.seed + draw);
  const numbers = job.noise && job.noise.map((z) => Float64Array.from(z));
  const noise = () => (numbers ? numbers.shift() : stream(C * P));
  for (let used = t; from && used >= from.k; used--) noise(); // what the steps before have drawn
  return walk(METHODS[name]({S, ...network}, own), S, m, noise, from?.x, from?.k);
}
/* The next state of a run, with what the page tells of it. */
async function advanced(run, m, x0) {
  const begin = performance.now();
  const {value: state} = await run.chain.next();
  const ms = performance.now() - begin;
  const residual = minus(m.y, m.A.A(state.x0_hat));
  const norm = Math.sqrt(dot(residual, residual));
  const c = run.guess && psnr(state.x0_hat, run.guess);
  const shown = state.k === 1 ? state.x : state.x0_hat;
  Object.assign(run, {guess: state.x0_hat, passes: state.passes, k: state.k});
  return {...state, c, norm, ms, quality: psnr(clipped(shown), x0)};
}
const clipped = (x) => x.map((v) => Math.max(-1, Math.min(1, v)));

onmessage = async ({data}) => {
  try {
    if (data.kind === "load") {
      await load(data);
      postMessage({kind: "loaded"});
    }
    if (data.kind === "play") await play(data.job);
    if (data.kind === "stop") stopped = true;
  } catch (error) {
    postMessage({kind: "failed", message: String((error && error.message) || error)});
  }
};
