"use strict";
/* The playground's worker: the engine, formulas.js and this, in one text, so that a page from a file can start it.
   CONSTANTS, from Python: {schedules: {steps: {timestep, alpha_bar, rings}}, ring}. */

let ort = null, files = null, stopped = false;
const sessions = {};

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

async function session(name) { // the longer graph is set up when it is first needed
  sessions[name] ||= await ort.InferenceSession.create(await unpacked(files[name]), {
    executionProviders: ["wasm"], externalData: [files.weights],
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

/* job: {task, seen, x0, sigma, steps, seed, draws, methods: [{name, switch, zeta, lam, from}, ...]}. Every method starts a
   draw from the same noise, and they take their steps in turn; one with `from`: {k, x} goes on from x at step k. A test
   may give y and noise. */
async function play(job) {
  stopped = false;
  const S = scheduled(CONSTANTS.schedules[job.steps], CONSTANTS.ring), prior = {S, ...network}, m = given(job);
  if (job.y) m.y = Float64Array.from(job.y);
  for (let draw = 0; draw < job.draws; draw++) {
    const chains = job.methods.map((own) => ({chain: begun(own, job, draw, prior, m), guess: null}));
    for (let k = S.t; k >= 1; k--)
      for (const [method, run] of chains.entries()) {
        if (k > (job.methods[method].from?.k ?? S.t)) continue;
        const begin = performance.now(), {x, x0_hat, passes} = (await run.chain.next()).value;
        const c = run.guess && psnr(x0_hat, run.guess), ms = performance.now() - begin;
        run.guess = x0_hat;
        const residual = combine((a, b) => a - b, m.y, m.A.A(x0_hat)), norm = Math.sqrt(dot(residual, residual));
        const quality = psnr(clipped(k === 1 ? x : x0_hat), job.x0);
        postMessage({kind: "step", draw, method, k, x, x0_hat, c, norm, quality, passes, ms});
        await new Promise((resume) => setTimeout(resume)); // lets "stop" in
        if (stopped) return postMessage({kind: "stopped"});
      }
  }
  return postMessage({kind: "done"});
}
function begun({name, from, ...own}, job, draw, prior, m) {
  const stream = normals(job.seed + draw), numbers = job.noise && job.noise.map((z) => Float64Array.from(z));
  const noise = () => (numbers ? numbers.shift() : stream(C * P));
  for (let used = prior.S.t; from && used >= from.k; used--) noise(); // what the steps before have drawn
  return walk(METHODS[name](prior, own), prior.S, m, noise, from?.x, from?.k);
}
const clipped = (x) => x.map((v) => Math.max(-1, Math.min(1, v)));

onmessage = async ({data}) => {
  try {
    if (data.kind === "load") { await load(data); postMessage({kind: "loaded"}); }
    if (data.kind === "play") await play(data.job);
    if (data.kind === "stop") stopped = true;
  } catch (error) {
    postMessage({kind: "failed", message: String((error && error.message) || error)});
  }
};
