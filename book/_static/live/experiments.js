"use strict";
/* The pages' experiments: what to look for, and what is on their stages. Each make(ui) sets a stage up
   (stage.js) and returns what its button runs: an async function whose answer is the sentence that stands
   below in the end. */
window.frugalExperiments = (() => {
  const {about, sizes} = window.frugalNetwork;
  const {given} = window.frugalFormulas;
  const {middle} = window.frugalPictures;
  const curve = window.frugalCurve;
  const T = 20; // steps
  const TASKS = [
    ["sr4", "enlarge 16 × 16 pixels"],
    ["inpaint", "fill in the middle"],
    ["sr16", "enlarge 4 × 4 pixels"],
  ];
  const left = (k) => (k === 1 ? "the result" : `its guess, ${k - 1} steps left`);
  const dB = (quality) => `${quality.toFixed(1)} dB`;

  /* A problem: a face and what is given of it, both drawn unless they are for later. */
  async function problem(ui, task, face, {sigma = 0.01, seed = 0, drawn = true} = {}) {
    const x0 = await ui.face(face);
    const job = {task, x0, sigma, seed, seen: middle(), steps: T};
    if (drawn) ui.given(job);
    return job;
  }
  /* Shows a state of a method on a panel. */
  function shown(panel, label, {k, x, x0_hat, quality}) {
    panel.show(k === 1 ? x : x0_hat);
    panel.told(`${label}: ${left(k)}, ${dB(quality)}`);
  }
  /* Runs one method, shown on a panel; -> its film, or nothing where it was stopped. */
  async function filmed(ui, job, method, panel, label) {
    const films = await ui.play({...job, methods: [method]}, (state) => shown(panel, label, state));
    return films?.[0];
  }
  /* DMPS's k steps from where a film of DPS has come to; all of them from the same noise as DPS. */
  function late(k, film, lam) {
    return {name: "dmps", lam, from: k === T ? undefined : {k, x: film[T - k - 1].x}};
  }
  const plain = (values) => values.map((value) => [value, value]);
  /* A slider over multiples of the library's zeta; -> {factor, zeta}. */
  function multiples(ui, factors, at, task, changed) {
    const zeta = (factor) => factor * sizes(task.value(), T, 0).zeta;
    const text = (f) => `${zeta(f).toPrecision(2)}${f === 1 ? ", the library's" : ""}`;
    return {factor: ui.slider("ζ =", factors, at, text, changed).value, zeta};
  }
  /* Lines of earlier runs, in grey, with this one; one label once, and at most so many. */
  const remembered = (line, before, most) =>
    [{...line, colour: "#888"}, ...before.filter((one) => one.label !== line.label)].slice(0, most);

  /* Page 07: DPS's path is walked once, and the hybrid of every k branches off it. */
  function handover(ui) {
    ui.pictures({given: "given", dps: "DPS", hybrid: "hybrid", dmps: "DMPS", original: "the original"});
    let path = null; // {job, film, lam, ends: {k: the hybrid's last state}}
    const ks = Array.from({length: T + 1}, (_, k) => k);
    const anew = () => {
      path = null;
      return ui.act(main);
    };
    const slider = ui.slider(
      "The last k steps by DMPS: k =",
      ks,
      T / 2,
      (k) => `${k} of ${T}: ${2 * T - k} passes`,
      () => ui.act(main),
    );
    const task = ui.menu("Task", TASKS, anew);
    const face = ui.faces(anew);

    async function branch(k, panel, label) {
      const {job, film, lam, ends} = path;
      panel.bar(2 * T - k, 2 * T);
      if (!ends[k] && k === 0) ends[k] = film.at(-1);
      if (!ends[k]) {
        const own = await filmed(ui, job, late(k, film, lam), panel, label);
        if (!own) return false;
        ends[k] = own.at(-1);
      }
      shown(panel, label, ends[k]);
      return true;
    }
    async function main() {
      const {dps, dmps, hybrid} = ui.panels;
      if (!path) {
        const job = await problem(ui, task.value(), face.value());
        const {zeta} = sizes(job.task, T, 0);
        const {lam} = sizes(job.task, T, T);
        dps.bar(2 * T, 2 * T);
        const film = await filmed(ui, job, {name: "dps", zeta}, dps, "DPS");
        if (!film) return null;
        path = {job, film, lam, ends: {}};
        if (!(await branch(T, dmps, "DMPS"))) return null;
      }
      const k = slider.value();
      if (!(await branch(k, hybrid, `hybrid, k = ${k}`))) return null;
      const [a, b, c] = [path.film.at(-1), path.ends[k], path.ends[T]].map(({quality}) => dB(quality));
      const passes = [2 * T, 2 * T - k, T];
      return (
        `DPS ${a} with ${passes[0]} passes, the hybrid ${b} with ${passes[1]}, ` +
        `DMPS ${c} with ${passes[2]}. ` +
        "Move k: only the steps after it are taken anew, from the same noise."
      );
    }
    return main;
  }

  /* Page 03: the length of DPS's step. */
  function length(ui) {
    ui.pictures({given: "given", dps: "DPS", original: "the original"});
    ui.curve("The residual ‖r‖ = ‖y − A x̂₀‖; dotted: the noise σ√m");
    const FACTORS = [1 / 64, 1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 8];
    const anew = () => {
      before = [];
      return ui.act(main);
    };
    const task = ui.menu("Task", [TASKS[1], TASKS[0], TASKS[2]], anew);
    const face = ui.faces(anew);
    const {factor, zeta} = multiples(ui, FACTORS, 4, task, () => ui.act(main));
    let before = []; // lines of earlier runs
    async function main() {
      const job = await problem(ui, task.value(), face.value());
      const noise = job.sigma * Math.sqrt(given(job).y.length);
      const z = zeta(factor());
      const label = `ζ = ${z.toPrecision(2)}`;
      const points = (film) => film.map(({k, norm}) => [k, norm]);
      const y = {label: "‖r‖", ticks: [0.1, 1, 10, 100], log: true};
      const plot = (film) =>
        ui.plot({
          t: T,
          y,
          level: [noise, "noise"],
          lines: [{label, colour: about.methods.dps.colour, points: points(film)}, ...before],
        });
      const films = await ui.play({...job, methods: [{name: "dps", zeta: z}]}, (state, [film]) => {
        shown(ui.panels.dps, label, state);
        plot(film);
      });
      if (!films) return null;
      plot(films[0]);
      const {norm, quality} = films[0].at(-1);
      before = remembered({label, points: points(films[0])}, before, 2);
      const [far, times] = [norm, norm / noise].map((number) => number.toPrecision(2));
      return (
        `With ${label} the last guess is ${far} from the measurement, ${times} times the noise. ` +
        `The result has ${dB(quality)}.`
      );
    }
    return main;
  }

  /* Page 06: when a picture is decided. */
  function collapse(ui) {
    ui.pictures({given: "given", guess: "DPS", decided: "at 20 dB", original: "the original"});
    ui.curve("How much the guess still moves: pSNR between consecutive guesses", true);
    let before = [];
    const again = () => ui.act(main);
    const anew = () => {
      before = [];
      return again();
    };
    const task = ui.menu("Task", TASKS, anew);
    const steps = ui.menu("Steps", plain([20, 50]), again);
    const sigma = ui.menu("Noise σ", plain([0.01, 0.1, 0.3]), again);
    const face = ui.faces(anew);
    async function main() {
      const t = +steps.value();
      const job = {...(await problem(ui, task.value(), face.value(), {sigma: +sigma.value()})), steps: t};
      const label = `${t} steps, σ ${sigma.value()}`;
      const {guess, decided} = ui.panels;
      const plot = (film) =>
        ui.plot({
          t,
          lines: [{label, colour: about.methods.dps.colour, points: curve.points(film)}, ...before],
        });
      decided.told("at 20 dB: not yet");
      const films = await ui.play(
        {...job, methods: [{name: "dps", ...sizes(job.task, t, 0)}]},
        (state, [film]) => {
          shown(guess, "DPS", state);
          plot(film);
          if (film.find(({c}) => c >= 20) !== state) return;
          decided.show(state.x0_hat);
          decided.told(`the guess when 20 dB is first reached: ${state.k - 1} of ${t} steps left`);
        },
      );
      if (!films) return null;
      const at = curve.decided(films[0]);
      before = remembered({label, points: curve.points(films[0]), t}, before, 1);
      return at === null
        ? "Consecutive guesses never agree to 20 dB."
        : `Consecutive guesses first agree to 20 dB with ${at} of ${t} steps left.`;
    }
    return main;
  }

  /* Page 04: lambda, and where the step is centred. */
  function centre(ui) {
    ui.pictures({
      given: "given",
      dmps: "centred on xₖ",
      centred: "centred on the guess",
      original: "the original",
    });
    let other = null; // the state that the centred method has ended in
    const LAMS = [0.1, 0.25, 0.5, 1, 1.5, 1.75, 2.5];
    const slider = ui.slider(
      "λ =",
      LAMS,
      3,
      (lam) => `${lam}${lam === 1 ? ", Bayes' rule" : ""}`,
      () => ui.act(main),
    );
    const anew = () => {
      other = null;
      return ui.act(main);
    };
    const task = ui.menu("Task", TASKS, anew);
    const face = ui.faces(anew);
    async function main() {
      const job = await problem(ui, task.value(), face.value());
      const lam = slider.value();
      const {dmps, centred} = ui.panels;
      const methods = [{name: "dmps", lam}, ...(other ? [] : [{name: "centred"}])];
      const films = await ui.play({...job, methods}, (state) =>
        state.method
          ? shown(centred, "centred on the guess", state)
          : shown(dmps, `on xₖ, λ = ${lam}`, state),
      );
      if (!films) return null;
      other ||= films[1].at(-1);
      const [ours, theirs] = [films[0].at(-1), other].map(({quality}) => dB(quality));
      return (
        `Centred on xₖ with λ = ${lam}: ${ours}; centred on the guess, which has no λ: ${theirs}. ` +
        `Both take ${T} passes and the same noise.`
      );
    }
    return main;
  }

  /* Page 13: every zeta for DPS and for hybrids that branch off its path. */
  function map(ui) {
    const PHASES = [
      ["dps", "DPS", 0, about.methods.dps.colour],
      ["half", `k = ${T / 2}`, T / 2, about.methods.hybrid.colour],
      ["long", `k = ${(3 * T) / 4}`, (3 * T) / 4, "#882255"],
    ];
    ui.pictures({
      given: "given",
      dps: "DPS",
      half: PHASES[1][1],
      long: PHASES[2][1],
      original: "the original",
    });
    ui.curve("How good the face is, for each ζ that was tried", true);
    const FACTORS = [1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 8];
    let ends = new Map(); // factor: {dps, half, long: their last states}
    const anew = () => {
      ends = new Map();
      return ui.act(main);
    };
    const task = ui.menu("Task", [TASKS[1], TASKS[0], TASKS[2]], anew);
    const face = ui.faces(anew);
    const {factor, zeta} = multiples(ui, FACTORS, 1, task, () => ui.act(one));
    function plot() {
      const tried = FACTORS.filter((f) => ends.has(f));
      const big = tried.indexOf(factor());
      const ticks = FACTORS.map((f) => +zeta(f).toPrecision(2));
      const lines = PHASES.map(([key, label, , colour]) => ({
        label,
        colour,
        big,
        points: tried.map((f) => [zeta(f), ends.get(f)[key].quality]),
      }));
      const y = {label: "pSNR / dB", ticks: [10, 15, 20, 25, 30]};
      ui.plot({lines, x: {label: "ζ", ticks, log: true}, y});
    }
    async function walked(job, f) {
      if (ends.has(f)) return true;
      const {lam} = sizes(job.task, T, T);
      let path = null; // DPS's film
      const found = {};
      for (const [key, label, k] of PHASES) {
        const method = k ? late(k, path, lam) : {name: "dps", zeta: zeta(f)};
        const film = await filmed(ui, job, method, ui.panels[key], label);
        if (!film) return false;
        path ||= film;
        found[key] = film.at(-1);
      }
      ends.set(f, found);
      plot();
      return true;
    }
    async function one() {
      const job = await problem(ui, task.value(), face.value());
      const f = factor();
      if (!(await walked(job, f))) return null;
      plot();
      const last = PHASES.map(([key, label]) => {
        shown(ui.panels[key], label, ends.get(f)[key]);
        return `${label} ${dB(ends.get(f)[key].quality)}`;
      });
      return `With ζ = ${zeta(f).toPrecision(2)}: ${last.join(", ")}. Move ζ.`;
    }
    async function main() {
      const job = await problem(ui, task.value(), face.value());
      for (const f of FACTORS) if (!(await walked(job, f))) return null;
      return one();
    }
    return main;
  }

  /* Page 14: methods at equal passes, their faces here and their means on the page's faces. */
  function plane(ui) {
    const means = JSON.parse(ui.data.textContent); // {task: {method: {passes: [LPIPS, pSNR]}}}
    const {methods} = about;
    const COMPARED = ["dps", "hybrid", "dmps", "spectral"];
    const labels = COMPARED.map((name) => [name, methods[name].label]);
    ui.pictures({given: "given", ...Object.fromEntries(labels), original: "the original"});
    ui.curve("Means over the page's faces at 10, 20 and 40 passes; to the upper left is better", true);
    const again = () => ui.act(main);
    const task = ui.menu("Task", TASKS, again);
    const passes = ui.menu("Passes", plain([20, 10, 40]), again);
    const face = ui.faces(again);
    function plot() {
      const of = means[task.value() === "inpaint" ? "inpaint-box" : task.value()];
      const lines = COMPARED.map((name) => ({
        label: methods[name].label,
        colour: methods[name].colour,
        big: [10, 20, 40].indexOf(+passes.value()),
        points: [10, 20, 40].map((p) => of[name][p]),
      }));
      const star = {label: "DPS, 200", colour: "currentColor", big: 0, points: [of.dps[200]]};
      const [least, most] = [0.5, 3].map((times) => times * of.dps[200][0]);
      const x = {label: "LPIPS", ticks: [least, (least + most) / 2, most].map((v) => +v.toPrecision(2))};
      const top = Math.ceil(of.dps[200][1]) + 2;
      const y = {label: "pSNR / dB", ticks: [top - 9, top - 6, top - 3, top]};
      ui.plot({lines: [...lines, star], x, y});
    }
    async function main() {
      const job = await problem(ui, task.value(), face.value());
      const said = [];
      plot();
      for (const name of COMPARED) {
        const t = methods[name].within[passes.value()];
        const last = name === "hybrid" ? Math.floor(t / 2) : name === "dmps" ? t : 0;
        const start = performance.now();
        const method = {name, switch: last, ...sizes(job.task, t, last)};
        const {label} = methods[name];
        const film = await filmed(ui, {...job, steps: t}, method, ui.panels[name], label);
        if (!film) return null;
        const seconds = (performance.now() - start) / 1000;
        said.push(`${label} ${dB(film.at(-1).quality)}, ${seconds.toFixed(1)} s`);
      }
      return `${passes.value()} passes each: ${said.join("; ")}.`;
    }
    return main;
  }

  return {
    tools: {T, TASKS, problem, shown, late, dB},
    map: {
      look: "Look for the ζ at which DPS fails and a hybrid does not: the longer its last phase, the flatter its line.",
      go: "Try every ζ here",
      make: map,
    },
    plane: {
      look: "Look for the method whose face is sharp and right with few passes, and for its dot beside that of DPS with 200.",
      make: plane,
    },
    switch: {
      look: "Look for the largest k at which the hybrid's face is still as good as that of DPS.",
      make: handover,
    },
    zeta: {
      look:
        "Look for the ζ whose residual comes nearest to the noise: " +
        "a shorter step does too little, a longer one too much.",
      make: length,
    },
    collapse: {
      look: "Look for the step at which guesses first agree to 20 dB; then change the number of steps.",
      make: collapse,
    },
    centre: {
      look: "Look at the grain: centred on the noisy picture, a step counts the prior twice.",
      make: centre,
    },
  };
})();
