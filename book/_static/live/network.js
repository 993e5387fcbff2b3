"use strict";
/* The prior's network in a worker, one for the page, loaded when it is first needed. One run at a time:
   another begins when the one before has been stopped. */
window.frugalNetwork = (() => {
  const NONE = {missing: "The playground's files do not lie beside this page."};
  const about = {...(window.frugalPlay || NONE)}; // without the long texts that come later
  const here = new URL("../playground/", document.currentScript.src).href;
  const SIMD = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
  ];

  /* The sentence that says why the network cannot run here, or nothing. */
  function missing() {
    const old = (what, since) => `This browser is too old: it lacks ${what} (${since} and later have it).`;
    if (about.missing) return about.missing;
    if (typeof WebAssembly !== "object")
      return "WebAssembly is off in this browser, and the network cannot run without it.";
    if (!WebAssembly.validate(new Uint8Array(SIMD)))
      return old("WebAssembly SIMD", "Chrome 91, Firefox 89, Safari 16.4");
    if (typeof DecompressionStream !== "function")
      return old("DecompressionStream", "Chrome 80, Firefox 113, Safari 16.4");
    if (typeof Worker !== "function")
      return "This browser runs no workers, and without one the network would freeze the page.";
    return "";
  }

  /* Whether the reader wants few bytes: then nothing is read before a button is pressed. */
  const thrifty = () =>
    Boolean(navigator.connection?.saveData) || matchMedia("(prefers-reduced-data: reduce)").matches;

  /* zeta and lam of DPS, DMPS and the hybrid with `last` DMPS steps: the library's. */
  function sizes(task, steps, last) {
    const [, zeta, lam] = about.sizes[task][steps].filter(([from]) => from <= last).pop();
    return {zeta, lam};
  }

  /* Passes through the network, forward or back, of a method at `steps` steps, `last` of them without a
     gradient. */
  function passes(name, steps, last) {
    const {gradient, handover} = about.methods[name];
    return steps + (gradient ? steps - (handover ? last : 0) : 0);
  }

  const script = (name) =>
    new Promise((resolve, reject) => {
      const element = document.createElement("script");
      Object.assign(element, {src: here + name, onload: resolve});
      element.onerror = () => reject(new Error(`the file ${name} does not lie beside this page`));
      document.head.append(element);
    });

  let worker = null;
  let ready = null;
  let running = null;
  let latest = 0;
  async function start(say) {
    say(`Reading the network, ${about.megabytes} MB …`);
    await script("engine.js");
    await script("prior.js");
    say("Starting the network …");
    const {worker: text, engine, weights, place, forward, vjp} = window.frugalPlay;
    worker = new Worker(URL.createObjectURL(new Blob([text], {type: "text/javascript"})));
    await ask({kind: "load", engine, weights, place, forward, vjp}, "loaded");
    window.frugalPlay = null; // the long texts
  }
  function load(say = () => {}) {
    ready ||= start(say).catch((error) => {
      ready = null;
      throw error;
    });
    return ready;
  }
  /* Sends a message and waits for the last of its answers; each on the way goes to `each`. */
  function ask(message, last, each = () => {}) {
    return new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message || "the worker did not start"));
      worker.onmessage = ({data}) => {
        if (data.kind === "failed") reject(new Error(data.message));
        else if (data.kind === last || data.kind === "stopped") resolve(data.kind);
        else each(data);
      };
      worker.postMessage(message);
    });
  }
  async function stop() {
    latest += 1;
    if (!running) return;
    worker.postMessage({kind: "stop"});
    await running.catch(() => {});
  }
  /* Runs a job of the worker's `play`; `each` gets every state. -> "done" or "stopped" */
  async function run(job, each, say) {
    await stop();
    const mine = latest;
    await load(say);
    if (mine !== latest) return "stopped";
    running = ask({kind: "play", job}, "done", each).finally(() => {
      running = null;
    });
    return running;
  }

  return {about, missing, thrifty, sizes, passes, load, run, stop};
})();
