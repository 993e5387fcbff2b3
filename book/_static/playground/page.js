"use strict";
/* The playground's page: what is chosen, drawn and shown. The sampling is the worker's (formulas.js, worker.js). */
(() => {
  const N = 64, P = N * N, $ = (id) => document.getElementById("play-" + id);
  const held = window.frugalPlay || {missing: "The playground's files do not lie beside this page."};
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  const METHODS = held.methods; // {name: {label, colour}}, as in the book's figures
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  /* ---- Whether it can run ---- */

  function missing() {
    if (held.missing) return held.missing;
    if (typeof WebAssembly !== "object") return "WebAssembly is off in this browser, and the network cannot run without it.";
    const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11]; // one SIMD instruction
    if (!WebAssembly.validate(new Uint8Array(simd))) return "This browser is too old: it lacks WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4 and later have it).";
    if (typeof DecompressionStream !== "function") return "This browser is too old: it lacks DecompressionStream (Chrome 80, Firefox 113, Safari 16.4 and later have it).";
    if (typeof Worker !== "function") return "This browser runs no workers, and without one the network would freeze the page.";
    return "";
  }
  function cannot(sentence) {
    $("cannot").textContent = sentence + " The film below shows a stored run.";
    $("cannot").hidden = false;
    $("form").hidden = true;
  }

  /* ---- Pictures: Float32Array(3 P) in [-1, 1], and on canvases ---- */

  const picture = new Float32Array(3 * P), seen = new Uint8Array(P).fill(1), cursor = {x: 32, y: 32};
  const byte = (v) => Math.round((Math.max(-1, Math.min(1, v)) + 1) * 127.5);

  function draw(canvas, x, mask) {
    const context = canvas.getContext("2d"), image = context.createImageData(N, N);
    for (let p = 0; p < P; p++) {
      const hidden = mask && !mask[p], check = ((p % N) + Math.floor(p / N)) % 4 < 2 ? 96 : 160;
      for (let c = 0; c < 3; c++) image.data[4 * p + c] = hidden ? check : byte(x[c * P + p]);
      image.data[4 * p + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }
  const task = () => $("task").value;
  const mask = () => (task() === "inpaint" ? seen : null);

  function show() {
    draw($("picture"), picture, mask());
    if (document.activeElement !== $("picture") || !mask()) return;
    const context = $("picture").getContext("2d"), r = +$("brush").value;
    context.globalCompositeOperation = "difference";
    context.strokeStyle = "#fff";
    context.strokeRect(cursor.x - r + 0.5, cursor.y - r + 0.5, 2 * r - 1, 2 * r - 1);
    context.globalCompositeOperation = "source-over";
  }
  function stamp(value) {
    const r = +$("brush").value;
    for (let y = Math.max(0, cursor.y - r); y < Math.min(N, cursor.y + r); y++)
      for (let x = Math.max(0, cursor.x - r); x < Math.min(N, cursor.x + r); x++) seen[y * N + x] = value;
    show();
  }
  async function take(address) { // the centred square, halved until it fits, so that no pixel is skipped
    const image = new Image();
    image.src = address;
    try { await image.decode(); } catch { return say("This file is not a picture that the browser can read."); }
    const side = Math.min(image.naturalWidth, image.naturalHeight);
    let now = canvas(side);
    now.getContext("2d").drawImage(image, (side - image.naturalWidth) / 2, (side - image.naturalHeight) / 2);
    while (now.width > N) {
      const half = canvas(Math.max(N, Math.ceil(now.width / 2)));
      half.getContext("2d").drawImage(now, 0, 0, half.width, half.width);
      now = half;
    }
    const small = canvas(N), context = small.getContext("2d");
    context.drawImage(now, 0, 0, N, N);
    const {data} = context.getImageData(0, 0, N, N);
    for (let p = 0; p < P; p++) for (let c = 0; c < 3; c++) picture[c * P + p] = data[4 * p + c] / 127.5 - 1;
    return show();
  }
  function canvas(side) {
    return Object.assign(document.createElement("canvas"), {width: side, height: side});
  }

  /* ---- The worker: its scripts are loaded when it is first needed ---- */

  let worker = null, ready = null;
  const say = (text) => { $("told").textContent = text; };
  const script = (name) => new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = here + name;
    element.onload = resolve;
    element.onerror = () => reject(new Error(`the file ${name} does not lie beside this page`));
    document.head.append(element);
  });
  function load() {
    ready ||= (async () => {
      say(`Reading the network, ${held.megabytes} MB …`);
      await script("engine.js");
      await script("prior.js");
      say("Starting the network …");
      const {worker: text, engine, weights, place, forward, vjp} = window.frugalPlay;
      worker = new Worker(URL.createObjectURL(new Blob([text], {type: "text/javascript"})));
      await answer({kind: "load", engine, weights, place, forward, vjp}, "loaded");
      window.frugalPlay = null; // the long texts
    })();
    return ready;
  }
  /* Sends a message and waits for the last of its answers; each on the way goes to `each`. */
  function answer(message, last, each = () => {}) {
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

  /* ---- A run ---- */

  let run = null; // {job, y, films: [[{k, x, x0_hat, c}]] of the first draw, draws: [[picture]]}

  function job() {
    const names = [$("first").value, $("second").value].filter((name, i, all) => name && all.indexOf(name) === i);
    const own = {switch: +$("k").value, zeta: +$("zeta").value, lam: +$("lam").value};
    return {
      task: task(), seen: seen.slice(), x0: picture.slice(), sigma: +$("sigma").value, steps: +$("steps").value,
      seed: Math.floor(+$("seed").value), draws: +$("draws").value, methods: names.map((name) => ({name, ...own, ...step(name)})),
    };
  }
  /* DPS and DMPS have step sizes of their own where the numbers were not changed by hand. */
  const step = (name) => (sizesChanged ? {} : sizes(name));
  function sizes(name) {
    const steps = +$("steps").value, k = name === "dps" ? 0 : name === "dmps" ? steps : +$("k").value;
    const [zeta, lam] = held.sizes[task()][steps][k];
    return {zeta, lam};
  }

  async function restore(given) {
    run = {job: given, films: given.methods.map(() => []), draws: given.methods.map(() => [])};
    const all = given.steps * given.draws * given.methods.length;
    let done = 0, begin = 0;
    panels();
    return answer({kind: "play", job: given}, "done", (data) => {
      begin ||= performance.now();
      if (data.kind === "measured") {
        run.y = data.y;
        return draw($("seen"), data.y, given.task === "inpaint" ? given.seen : null);
      }
      const film = run.films[data.method];
      if (data.draw === 0) film.push(data);
      if (data.k === 1) drawn(data.method, data.x);
      done += 1;
      const left = (performance.now() - begin) / done * (all - done) / 1000;
      $("bar").value = done / all;
      $("now").textContent = `Step ${given.steps - data.k + 1} of ${given.steps}${given.draws > 1 ? `, draw ${data.draw + 1} of ${given.draws}` : ""}: ${(data.ms / 1000).toFixed(2)} s, about ${Math.ceil(left)} s left.`;
      if (!calm || data.k % Math.ceil(given.steps / 4) === 1) { // four pictures a run where motion is not wanted
        frame(data.method, data);
        curve();
      }
      if (Math.floor(4 * done / all) > Math.floor(4 * (done - 1) / all) && done < all) say(`${25 * Math.floor(4 * done / all)} per cent done.`);
      return null;
    });
  }
  async function go() {
    const given = job(), sigma = given.sigma;
    if (given.task === "inpaint" && !given.seen.includes(1)) return say("Everything is hidden; leave at least one pixel.");
    if (!(sigma >= 0 && sigma <= 1)) return say("The noise σ has to lie between 0 and 1.");
    if (!given.methods.every(({zeta, lam}) => zeta >= 0 && lam >= 0)) return say("Step sizes have to be zero or larger.");
    busy(true);
    try {
      await load();
      say("Restoring …");
      const begin = performance.now(), end = await restore(given);
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      say(end === "stopped" ? "Stopped." : `Done in ${seconds} s. ${run.films.map(told).join(" ")}`);
    } catch (error) {
      ready = null;
      say(`The network could not run: ${error.message}.`);
    }
    $("now").textContent = "";
    curve();
    return busy(false);
  }
  function told(film, i) {
    const at = film.find(({c}) => c >= 20), quality = film[film.length - 1].quality.toFixed(1);
    const decided = at ? `its guesses first agree to 20 dB with ${at.k - 1} steps left` : "its guesses never agree to 20 dB";
    return `${METHODS[run.job.methods[i].name].label}: ${quality} dB pSNR to the picture; ${decided}.`;
  }
  function busy(on) {
    $("go").disabled = on;
    $("stop").disabled = !on;
    $("save").disabled = on || !run || !run.draws[0][0];
    $("film").hidden = on || !run || run.films[0].length < 2;
    if (!$("film").hidden) {
      const last = Math.min(...run.films.map((film) => film.length)) - 1;
      $("frame").max = last;
      $("frame").value = last;
      moved();
    }
  }

  /* ---- What a run shows ---- */

  function figure(label, place) {
    const element = document.createElement("figure"), caption = document.createElement("figcaption"), shown = canvas(N);
    shown.setAttribute("role", "img");
    shown.setAttribute("aria-label", label);
    caption.textContent = label;
    element.append(shown, caption);
    place.append(element);
    return shown;
  }
  function panels() {
    $("methods").replaceChildren();
    $("all").replaceChildren();
    $("all").hidden = run.job.draws < 2;
    $("moves").hidden = false;
    run.panels = run.job.methods.map(({name}) => {
      const {label} = METHODS[name], x = figure(`${label}: the chain`, $("methods")), x0_hat = figure(`${label}: the guess`, $("methods"));
      const row = Object.assign(document.createElement("div"), {className: "play-draws-row"});
      if (run.job.draws > 1) $("all").append(Object.assign(document.createElement("p"), {textContent: `${label}, all draws:`}), row);
      return {x, x0_hat, row};
    });
  }
  function frame(method, {x, x0_hat}) {
    draw(run.panels[method].x, x);
    draw(run.panels[method].x0_hat, x0_hat);
  }
  function drawn(method, x) { // every draw; of several also the mean and the spread
    const all = run.draws[method], {row} = run.panels[method];
    all.push(x);
    if (run.job.draws < 2) return;
    draw(figure(`draw ${all.length}`, row), x);
    if (all.length < run.job.draws) return;
    const mean = x.map((_, i) => all.reduce((sum, one) => sum + one[i], 0) / all.length);
    const variance = x.map((_, i) => all.reduce((sum, one) => sum + (one[i] - mean[i]) ** 2, 0) / (all.length - 1));
    const spread = Float64Array.from({length: 3 * P}, (_, i) => 4 * Math.sqrt((variance[i % P] + variance[P + i % P] + variance[2 * P + i % P]) / 3) - 1);
    draw(figure("their mean", row), mean);
    draw(figure("their spread, white from 0.5 on", row), spread);
  }
  function curve() { // c_k of Eq. 6a against k, from t on the left to 1 on the right
    const left = 44, right = 352, top = 8, bottom = 132, most = 50, {steps, methods} = run.job;
    const at = (k) => left + (steps - k) / Math.max(1, steps - 1) * (right - left), up = (c) => bottom - Math.min(most, Math.max(0, c)) / most * (bottom - top);
    const text = (x, y, words, anchor = "middle") => `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="11" fill="currentColor">${words}</text>`;
    let svg = `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="currentColor"/>`;
    for (let c = 0; c <= most; c += 10) svg += text(left - 6, up(c) + 4, c, "end");
    for (let i = 0; i <= 4; i++) { const k = Math.round(steps - (steps - 1) * i / 4); svg += text(at(k), bottom + 14, k); }
    svg += text((left + right) / 2, bottom + 30, "steps that remain, k") + `<text transform="translate(11 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle" font-size="11" fill="currentColor">pSNR / dB</text>`;
    svg += `<path d="M${left} ${up(20)}H${right}" stroke="currentColor" stroke-dasharray="4 3"/>` + text(right, up(20) - 4, "20 dB", "end");
    methods.forEach(({name}, i) => {
      const {colour, label} = METHODS[name], points = run.films[i].filter(({c}) => c !== null).map(({k, c}) => `${at(k).toFixed(1)},${up(c).toFixed(1)}`);
      svg += `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2" ${i ? 'stroke-dasharray="7 3"' : ""}/>`;
      svg += `<path d="M${left + 8 + 90 * i} ${top + 4}h20" stroke="${colour}" stroke-width="2" ${i ? 'stroke-dasharray="7 3"' : ""}/>` + text(left + 32 + 90 * i, top + 8, label, "start");
    });
    const spoken = methods.map(({name}, i) => `${METHODS[name].label}: ${run.films[i].filter(({c}) => c !== null).map(({k, c}) => `${c.toFixed(0)} at ${k}`).slice(-1)[0] || "none yet"}`);
    $("curve").innerHTML = `<title id="play-curve-title">pSNR in dB between consecutive guesses against the steps that remain. Last values: ${spoken.join("; ")}.</title>${svg}`;
  }

  let clock = null;
  function moved() {
    const i = +$("frame").value;
    run.films.forEach((film, method) => frame(method, film[i]));
    $("frame-now").textContent = `k = ${run.films[0][i].k}`;
    $("frame").setAttribute("aria-valuetext", `${run.films[0][i].k} steps remain`);
  }
  function pause() {
    clearInterval(clock);
    clock = null;
    $("replay").textContent = "Play";
  }
  function replay() {
    if (clock) return pause();
    const slider = $("frame");
    if (+slider.value === +slider.max) slider.value = 0;
    $("replay").textContent = "Pause";
    clock = setInterval(() => {
      slider.value = +slider.value + 1;
      moved();
      if (+slider.value === +slider.max) pause();
    }, 250);
    return moved();
  }
  function save() { // one PNG: what was given, what came back, the picture itself
    const shown = [["measured", $("seen")]], edge = 4 * N;
    run.draws.forEach((draws, i) => {
      const one = canvas(N);
      draw(one, draws[0]);
      shown.push([METHODS[run.job.methods[i].name].label, one]);
    });
    const truth = canvas(N);
    draw(truth, run.job.x0);
    shown.push(["the picture", truth]);
    const sheet = Object.assign(document.createElement("canvas"), {width: shown.length * (edge + 8) - 8, height: edge + 28});
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    context.imageSmoothingEnabled = false;
    context.fillStyle = "#000";
    context.font = "16px sans-serif";
    shown.forEach(([label, one], i) => {
      context.drawImage(one, i * (edge + 8), 0, edge, edge);
      context.fillText(label, i * (edge + 8) + 4, edge + 20);
    });
    const link = document.createElement("a");
    link.download = `frugal-${run.job.task}-seed${run.job.seed}.png`;
    link.href = sheet.toDataURL();
    link.click();
  }

  /* ---- The form ---- */

  let sizesChanged = false;
  function settings() { // what depends on other choices
    const steps = +$("steps").value, names = [$("first").value, $("second").value];
    $("k").max = steps;
    $("k-now").textContent = $("k").value;
    $("hybrid").hidden = !names.includes("hybrid");
    $("paint").hidden = $("how").hidden = task() !== "inpaint";
    $("picture").classList.toggle("play-draws", task() === "inpaint");
    if (sizesChanged) return;
    const of = (name) => names.includes(name) ? name : "hybrid";
    $("zeta").value = sizes(of("dps")).zeta;
    $("lam").value = sizes(of("dmps")).lam;
  }
  function start() {
    held.faces.forEach((address, i) => {
      const label = document.createElement("label"), input = document.createElement("input"), image = new Image();
      Object.assign(input, {type: "radio", name: "play-face", value: i, checked: i === 0, onchange: () => take(address)});
      Object.assign(image, {src: address, alt: `synthetic face ${i + 1}`});
      label.append(input, image);
      $("faces").append(label);
    });
    const more = {[held.best]: ", the book's best", dps: " (three times slower)"};
    for (const [name, {label}] of Object.entries(METHODS))
      for (const menu of [$("first"), $("second")]) menu.append(new Option(label + (more[name] || ""), name));
    $("second").prepend(new Option("nothing", ""));
    $("second").value = "dmps";
    held.steps.forEach((n) => $("steps").append(new Option(n, n, n === 20, n === 20)));
    $("k").max = 20;
    $("k").value = 10;
    $("weight").textContent = `The first run reads ${held.megabytes} MB from beside this page. Nothing is sent.`;

    $("form").onsubmit = (event) => event.preventDefault();
    $("file").onchange = () => $("file").files[0] && take(URL.createObjectURL($("file").files[0]));
    $("steps").onchange = () => { $("k").max = $("steps").value; $("k").value = $("steps").value / 2; sizesChanged = false; settings(); };
    for (const name of ["task", "first", "second"]) $(name).onchange = () => { sizesChanged = false; settings(); show(); };
    $("k").oninput = settings;
    $("zeta").oninput = $("lam").oninput = () => { sizesChanged = true; };
    $("box").onclick = () => { for (let p = 0; p < P; p++) if (Math.abs((p % N) - 31.5) < 16 && Math.abs(Math.floor(p / N) - 31.5) < 16) seen[p] = 0; show(); };
    $("clear").onclick = () => { seen.fill(1); show(); };
    $("go").onclick = go;
    $("stop").onclick = () => worker && worker.postMessage({kind: "stop"});
    $("save").onclick = save;
    $("replay").onclick = replay;
    $("frame").oninput = () => { pause(); moved(); };

    const paint = (event) => {
      const box = $("picture").getBoundingClientRect();
      cursor.x = Math.floor((event.clientX - box.left) / box.width * N);
      cursor.y = Math.floor((event.clientY - box.top) / box.height * N);
      stamp($("erase").checked ? 1 : 0);
    };
    $("picture").onpointerdown = (event) => { if (mask()) { $("picture").setPointerCapture(event.pointerId); paint(event); } };
    $("picture").onpointermove = (event) => { if (mask() && event.buttons & 1) paint(event); };
    $("picture").onkeydown = (event) => {
      const move = {ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2]}[event.key];
      if (!mask() || !(move || event.key === " " || event.key === "Backspace")) return;
      event.preventDefault();
      event.stopPropagation(); // the theme turns pages by arrow keys
      if (move) { cursor.x = Math.max(0, Math.min(N, cursor.x + move[0])); cursor.y = Math.max(0, Math.min(N, cursor.y + move[1])); show(); }
      else stamp(event.key === " " ? 0 : 1);
    };
    $("picture").onfocus = $("picture").onblur = show;

    $("form").hidden = false;
    settings();
    take(held.faces[0]).then(() => $("box").click());
    window.frugalPlayground = {load, restore, seen, last: () => run}; // for the book's own tests
  }
  const reason = missing();
  if (reason) cannot(reason);
  else start();
})();
