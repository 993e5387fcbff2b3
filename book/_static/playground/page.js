"use strict";
/* The playground's form: what is chosen, and the run of it. */
(() => {
  const {N, P, make, draw, preview, read} = window.frugalPictures;
  const {about, missing, thrifty, sizes, load, run: runs, stop} = window.frugalNetwork;
  const {given} = window.frugalFormulas || {};
  const state = window.frugalState;
  const result = window.frugalResult;
  const $ = (id) => document.getElementById(`play-${id}`);
  const value = (id) => $(id).value;
  const number = (id) => (value(id).trim() === "" ? NaN : Number(value(id)));
  const NAMES = ["task", "sigma", "first", "second", "steps", "draws", "seed", "k"]; // in the address
  const seen = new Uint8Array(P).fill(1);
  let face = "1";
  let ownSizes = false;
  let brush = null;
  let run = null;
  let turn = 0;
  let busy = false;
  const say = (text) => {
    $("told").textContent = text;
  };

  /* ---- What is chosen ---- */

  /* The step sizes of a method: the library's for its share of DMPS steps, or what stands in the fields. */
  function lengths(name) {
    const steps = number("steps");
    const last = {dps: 0, dmps: steps, hybrid: number("k")}[name] ?? 0;
    return sizes(value("task"), steps, last);
  }
  function chosen() {
    const names = [...new Set([value("first"), value("second")])].filter(Boolean);
    const own = {zeta: number("zeta"), lam: number("lam")};
    const methods = names.map((name) => ({
      name,
      switch: number("k"),
      ...(ownSizes ? own : lengths(name)),
    }));
    const numbers = Object.fromEntries(
      ["sigma", "steps", "seed", "draws"].map((name) => [name, number(name)]),
    );
    return {task: value("task"), seen: seen.slice(), x0: brush.paint.x.slice(), ...numbers, methods};
  }
  /* The sentence that says what is wrong with it, or nothing. */
  function refused({task, sigma, seed}) {
    if (task === "inpaint" && !seen.includes(1)) return "Everything is hidden; leave at least one pixel.";
    if (!(sigma >= 0 && sigma <= 1)) return "The noise σ has to lie between 0 and 1.";
    if (!Number.isInteger(seed) || seed < 0 || seed > 999999)
      return "The seed has to be a whole number from 0 to 999999.";
    if (ownSizes && !(number("zeta") >= 0 && number("lam") >= 0))
      return "Step sizes have to be zero or larger.";
    return "";
  }
  function link() {
    const choices = {face, ...Object.fromEntries(NAMES.map((name) => [name, value(name)]))};
    if (value("task") === "inpaint") choices.mask = state.packed(seen);
    if (ownSizes) Object.assign(choices, {zeta: value("zeta"), lam: value("lam")});
    history.replaceState(null, "", state.write(choices));
  }
  /* Chooses what an address says; where it says nothing, or nothing that can be, what stands there stays. */
  async function follow(hash) {
    const choices = state.read(hash);
    const mask = choices.mask && state.unpacked(choices.mask, P);
    for (const name of NAMES.filter((one) => one in choices)) {
      const old = value(name);
      $(name).value = choices[name];
      if (value(name) !== choices[name]) $(name).value = old; // it cannot be chosen
      if (name === "steps") halves();
    }
    if (mask) seen.set(mask);
    ownSizes = "zeta" in choices && "lam" in choices;
    settings();
    if (ownSizes) for (const name of ["zeta", "lam"]) $(name).value = choices[name];
    await choose(about.faces[choices.face - 1] ? choices.face : face);
    return choices.face === "own"
      ? "The link is to a picture of its sender's own, which no link can carry; here is face 1."
      : "";
  }

  function halves() {
    $("k").max = value("steps");
    $("k").value = value("steps") / 2;
  }
  async function choose(name, address = about.faces[name - 1]) {
    try {
      brush.paint.x = await read(address);
    } catch {
      say("This file is not a picture that the browser can read.");
      return false;
    }
    face = name;
    for (const input of $("faces").querySelectorAll("input")) input.checked = input.value === face;
    return true;
  }

  const take = async (...one) => (await choose(...one)) && changed();

  /* ---- What follows from it ---- */

  function settings() {
    const names = [value("first"), value("second")];
    const hides = value("task") === "inpaint";
    $("k-now").textContent = value("k");
    $("hybrid").hidden = !names.includes("hybrid");
    $("paint").hidden = $("how").hidden = $("original").hidden = !hides;
    $("picture").classList.toggle("play-draws", hides);
    if (ownSizes) return;
    const shown = (name) => lengths(names.includes(name) ? name : "hybrid");
    $("zeta").value = shown("dps").zeta;
    $("lam").value = shown("dmps").lam;
  }
  /* The picture, and the measurement of it. */
  function show() {
    const job = chosen();
    brush.show();
    draw($("truth"), job.x0);
    if (!refused(job)) draw($("seen"), preview(given(job)), job.task === "inpaint" ? job.seen : null);
  }
  /* After every change: a run that goes on is not of what stands there any more. */
  function changed() {
    const wrong = refused(chosen());
    show();
    if (!wrong) link();
    if (busy) halt("Something was changed, so the run was stopped. Press Restore for a new one.");
    else if (run)
      say(wrong || "Changed: the results are of what was chosen before. Press Restore for new ones.");
    if (run) result.stale(true);
  }

  /* ---- A run ---- */

  async function restore(job) {
    run = result.begin(job, preview(given(job)));
    result.stale(false);
    result.plot(run);
    const mine = run;
    const begun = turn;
    return runs(
      job,
      (step) => {
        if (run !== mine || turn !== begun) return; // stopped
        const quarter = Math.floor((4 * mine.done) / mine.all);
        const {share, text} = result.take(mine, step);
        $("bar").value = share;
        $("now").textContent = text;
        if (Math.floor(4 * share) > quarter && share < 1) say(`${25 * Math.floor(4 * share)} per cent done.`);
      },
      say,
    );
  }
  async function go() {
    const job = chosen();
    const wrong = refused(job);
    if (wrong) return say(wrong);
    const mine = (turn += 1);
    result.pause();
    show();
    working(true);
    try {
      await load(say);
      if (mine !== turn) return;
      say("Restoring …");
      const begin = performance.now();
      const ended = await restore(job);
      if (mine !== turn) return;
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      if (ended === "done") end(`Done in ${seconds} s. ${result.told(run)}`);
      else end("Stopped, because something else began to run.");
    } catch (error) {
      if (mine === turn) end(`The network could not run: ${error.message}.`);
    }
  }
  function end(sentence) {
    working(false);
    $("now").textContent = "";
    if (run?.films[0].length) result.film(run);
    say(sentence);
  }
  function halt(sentence) {
    turn += 1;
    stop();
    end(sentence);
  }
  function working(on) {
    busy = on;
    $("go").disabled = on;
    $("stop").disabled = !on;
    $("save").disabled = on || !run?.films[0].length;
    if (on) $("film").hidden = true;
  }

  /* ---- The form ---- */

  function sized() {
    // by the prior's pictures
    for (const id of ["picture", "seen", "truth"]) Object.assign($(id), {width: N, height: N});
    for (const f of [4, 16])
      $("task").querySelector(`[value=sr${f}]`).textContent = `enlarge ${N / f} × ${N / f} pixels`;
  }
  function menus() {
    about.faces.forEach((address, i) => {
      const label = make("label");
      const input = make("input", {type: "radio", name: "play-face", value: String(i + 1)});
      input.onchange = () => take(input.value);
      label.append(input, make("img", {src: address, alt: `synthetic face ${i + 1}`}));
      $("faces").append(label);
    });
    const more = {[about.best]: ", the book's best", dps: ", two passes a step"};
    for (const [name, {label}] of Object.entries(about.methods))
      for (const menu of [$("first"), $("second")]) menu.append(new Option(label + (more[name] || ""), name));
    $("second").prepend(new Option("nothing", ""));
    $("first").value = "dps";
    $("second").value = "hybrid";
    about.steps.forEach((n) => $("steps").append(new Option(n, n, n === 20, n === 20)));
    halves();
  }
  function wire() {
    const fresh = () => {
      ownSizes = false;
      settings();
      changed();
    };
    const own = () => {
      ownSizes = true;
      changed();
    };
    $("form").onsubmit = (event) => {
      event.preventDefault();
      if (!busy) {
        link();
        go();
      }
    };
    $("file").onchange = () => $("file").files[0] && take("own", URL.createObjectURL($("file").files[0]));
    $("steps").onchange = () => {
      halves();
      fresh();
    };
    for (const name of ["task", "first", "second"]) $(name).onchange = fresh;
    for (const name of ["draws", "sigma", "seed"]) $(name).onchange = changed;
    $("k").oninput = settings;
    $("k").onchange = changed;
    $("zeta").onchange = $("lam").onchange = own;
    $("box").onclick = () => {
      brush.hideMiddle();
      changed();
    };
    $("clear").onclick = () => {
      seen.fill(1);
      changed();
    };
    $("stop").onclick = () => halt("Stopped. What there is can be saved.");
    $("save").onclick = () =>
      result.keep(run, $("task").querySelector(`[value=${run.job.task}]`).textContent);
    $("link").onclick = copy;
    $("replay").onclick = () => result.replay(run);
    $("frame").oninput = () => {
      result.pause();
      result.moved(run);
    };
    window.addEventListener("hashchange", () =>
      follow(location.hash).then((note) => go().then(() => note && say(note))),
    );
  }
  async function copy() {
    link();
    try {
      await navigator.clipboard.writeText(location.href);
      say(
        face === "own" ? "The link is copied; it carries all but your own picture." : "The link is copied.",
      );
    } catch {
      say("The link stands in the browser's address bar.");
    }
  }
  async function start() {
    const paint = {
      x: new Float32Array(3 * P),
      seen,
      active: () => value("task") === "inpaint",
      radius: () => number("brush"),
      erases: () => $("erase").checked,
      changed,
    };
    brush = {...window.frugalBrush($("picture"), paint), paint};
    sized();
    menus();
    wire();
    brush.hideMiddle();
    $("form").hidden = false;
    window.frugalPlayground = {load, restore, seen, last: () => run}; // for the book's own tests
    const note = await follow(location.hash);
    show();
    if (note) say(note);
    if (!thrifty()) go();
    else
      $("weight").textContent =
        `The first run reads ${about.megabytes} MB from beside this page. Nothing is sent.`;
  }

  const reason = missing();
  if (reason) {
    $("cannot").textContent = `${reason} The film below shows a stored run.`;
    $("cannot").hidden = false;
  } else start();
})();
