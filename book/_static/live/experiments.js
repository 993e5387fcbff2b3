"use strict";
/* The pages' experiments: what to look for, and what is on their stages. Each make(ui) sets a stage up
   (stage.js) and returns what its button runs: an async function whose answer is the sentence that stands
   below in the end. */
window.frugalExperiments = (() => {
  const {about, sizes} = window.frugalNetwork;
  const {given} = window.frugalFormulas;
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
    const job = {task, x0, sigma, seed, seen: ui.middle(), steps: T};
    if (drawn) ui.given(job);
    return job;
  }
  /* Shows a state of a method on a panel. */
  function shown(panel, label, {k, x, x0_hat, quality}) {
    panel.show(k === 1 ? x : x0_hat);
    panel.told(`${label}: ${left(k)}, ${dB(quality)}`);
  }

  /* Page 07: DPS's path is walked once, and the hybrid of every k branches off it. */
  function handover(ui) {
    ui.pictures({given: "given", dps: "DPS", hybrid: "hybrid", dmps: "DMPS", original: "the original"});
    let path = null; // {job, film, zeta, lam, ends: {k: the hybrid's last state}}
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
      const {job, film, zeta, lam, ends} = path;
      panel.bar(2 * T - k, 2 * T);
      if (!ends[k] && k === 0) ends[k] = film.at(-1);
      if (!ends[k]) {
        const from = k === T ? undefined : {k, x: film[T - k - 1].x};
        const films = await ui.play({...job, methods: [{name: "dmps", zeta, lam, from}]}, (state) =>
          shown(panel, label, state),
        );
        if (!films) return false;
        ends[k] = films[0].at(-1);
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
        const films = await ui.play({...job, methods: [{name: "dps", zeta}]}, (state) =>
          shown(dps, "DPS", state),
        );
        if (!films) return null;
        path = {job, film: films[0], zeta, lam, ends: {}};
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
    const zeta = () => sizes(task.value(), T, 0).zeta;
    const slider = ui.slider(
      "ζ =",
      FACTORS,
      4,
      (f) => `${(f * zeta()).toPrecision(2)}${f === 1 ? ", the library's" : ""}`,
      () => ui.act(main),
    );
    let before = []; // lines of earlier runs
    async function main() {
      const job = await problem(ui, task.value(), face.value());
      const noise = job.sigma * Math.sqrt(given(job).y.length);
      const z = slider.value() * zeta();
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
      before = [
        {label, colour: "#888", points: points(films[0])},
        ...before.filter((one) => one.label !== label),
      ].slice(0, 2);
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
    const steps = ui.menu(
      "Steps",
      [
        [20, "20"],
        [50, "50"],
      ],
      again,
    );
    const sigma = ui.menu(
      "Noise σ",
      [
        [0.01, "0.01"],
        [0.1, "0.1"],
        [0.3, "0.3"],
      ],
      again,
    );
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
      before = [
        {label, colour: "#888", points: curve.points(films[0]), t},
        ...before.filter((one) => one.label !== label),
      ].slice(0, 1);
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

  return {
    tools: {TASKS, problem, shown, dB},
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
