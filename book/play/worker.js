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

const OPERATORS = {
  inpaint: inpainting,
  sr4: () => superResolution(4),
  sr16: () => superResolution(16),
  colorize: colorization,
  deblur: deblurring,
};

/* job: {task, seen, x0, sigma, steps, seed, draws, methods: [{name, switch, zeta, lam}, ...]}; a test may give y and noise.
   Every method starts a draw from the same noise, and they take their steps in turn. */
async function play(job) {
  stopped = false;
  const {timestep, alpha_bar, rings} = CONSTANTS.schedules[job.steps];
  const S = scheduled(timestep, alpha_bar), prior = {S, ...network}, A = OPERATORS[job.task](job.seen);
  const needed = job.methods.some(({name}) => name === "spectral");
  const spectrum = needed ? rings.map((byRing) => byRing && waves(byRing, CONSTANTS.ring)) : null;
  const y = job.y ? Float64Array.from(job.y) : measure(A, job.x0, job.sigma, normals(job.seed + 1e6)(A.s.length));
  postMessage({kind: "measured", y: preview(A, y)});
  for (let draw = 0; draw < job.draws; draw++) {
    const chains = job.methods.map(({name, ...own}) => {
      const stream = normals(job.seed + draw);
      let used = 0;
      const noise = () => (job.noise ? Float64Array.from(job.noise[used++]) : stream(C * P));
      return {chain: restore(name, prior, {y, A, sigma: job.sigma, spectrum, ...own}, noise), guess: null};
    });
    for (let k = S.t; k >= 1; k--)
      for (const [method, run] of chains.entries()) {
        const begin = performance.now(), {x, x0_hat} = (await run.chain.next()).value;
        const c = run.guess && psnr(x0_hat, run.guess);
        run.guess = x0_hat;
        const quality = k === 1 ? psnr(x.map((v) => Math.max(-1, Math.min(1, v))), job.x0) : null;
        postMessage({kind: "step", draw, method, k, x, x0_hat, c, quality, ms: performance.now() - begin});
        await new Promise((resume) => setTimeout(resume)); // lets "stop" in
        if (stopped) return postMessage({kind: "stopped"});
      }
  }
  return postMessage({kind: "done"});
}

onmessage = async ({data}) => {
  try {
    if (data.kind === "load") { await load(data); postMessage({kind: "loaded"}); }
    if (data.kind === "play") await play(data.job);
    if (data.kind === "stop") stopped = true;
  } catch (error) {
    postMessage({kind: "failed", message: String((error && error.message) || error)});
  }
};
