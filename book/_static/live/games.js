"use strict";
/* The playground's two games, as experiments (experiments.js): a blind test, and a race. */
(() => {
  const {about, sizes} = window.frugalNetwork;
  const {T, TASKS, problem, shown, late, dB} = window.frugalExperiments.tools;
  const ROUNDS = 10;
  const K = T / 2; // of the hybrid's steps in the blind test are DMPS

  /* Which of two is DPS? The next pair is computed while the reader looks at this one. */
  function blind(ui) {
    ui.pictures({given: "given", a: "A", b: "B"});
    let chosen = () => {};
    const buttons = [
      ui.button("A is DPS", () => chosen("a")),
      ui.button("B is DPS", () => chosen("b")),
      ui.button("Next pair", () => chosen("next")),
    ];
    const choice = (...open) => {
      buttons.forEach((button, i) => {
        button.disabled = !open.includes(["a", "b", "next"][i]);
      });
      return new Promise((resolve) => {
        chosen = resolve;
      });
    };
    choice();

    /* A pair from the same noise: the hybrid leaves DPS's path with K steps left. */
    async function prepared(seed, waiting) {
      const task = seed % 2 ? "inpaint" : "sr4";
      const job = await problem(ui, task, seed % about.faces.length, {seed, drawn: false});
      const each = ({k}) => waiting() && ui.say(`Computing a pair: ${k - 1} steps left.`);
      const dps = await ui.play({...job, methods: [{name: "dps", zeta: sizes(task, T, 0).zeta}]}, each);
      if (!dps) return null;
      const {lam} = sizes(task, T, K);
      const dmps = await ui.play({...job, methods: [late(K, dps[0], lam)]}, each);
      return dmps && {job, ends: {dps: dps[0].at(-1), hybrid: dmps[0].at(-1)}};
    }
    async function main() {
      const first = Math.floor(1e5 * Math.random());
      let score = 0;
      let waiting = true;
      let next = prepared(first, () => waiting);
      for (let round = 1; round <= ROUNDS; round++) {
        const pair = await next;
        if (!pair) return null;
        waiting = false;
        const names = Math.random() < 0.5 ? {a: "dps", b: "hybrid"} : {a: "hybrid", b: "dps"};
        ui.given(pair.job);
        for (const key of ["a", "b"]) {
          ui.panels[key].show(pair.ends[names[key]].x);
          ui.panels[key].told(key.toUpperCase());
        }
        ui.say(`Round ${round} of ${ROUNDS}: which is DPS? The other is the hybrid, from the same noise.`);
        next = round < ROUNDS && prepared(first + round, () => waiting);
        const answer = await choice("a", "b");
        const right = names[answer] === "dps";
        score += right;
        for (const key of ["a", "b"]) {
          const {label} = about.methods[names[key]];
          ui.panels[key].told(`${label}, ${dB(pair.ends[names[key]].quality)}`);
        }
        ui.say(`${right ? "Right" : "Wrong"}: ${score} of ${round} so far.`);
        if (round < ROUNDS) await choice("next");
        waiting = true;
      }
      choice();
      return `${score} of ${ROUNDS} right. Who only guesses gets 9 or 10 once in a hundred times.`;
    }
    return main;
  }

  /* DPS as the poster runs it against the book's best at a tenth of its passes. */
  function race(ui) {
    ui.pictures({
      given: "given",
      dps: "DPS",
      best: about.methods[about.best].label,
      original: "the original",
    });
    const again = () => ui.act(main);
    const task = ui.menu("Task", TASKS, again);
    const face = ui.faces(again);
    async function main() {
      const job = await problem(ui, task.value(), face.value());
      const lanes = [ui.panels.dps, ui.panels.best];
      const methods = [
        {name: "dps", steps: 100, ...sizes(job.task, 100, 0)},
        {name: about.best, steps: about.methods[about.best].within[20]},
      ];
      const seconds = [0, 0];
      for (const lane of lanes) lane.bar(0, 200);
      const films = await ui.play({...job, methods}, (state) => {
        const {method, ms, passes} = state;
        seconds[method] += ms / 1000;
        shown(lanes[method], about.methods[methods[method].name].label, state);
        lanes[method].bar(passes, 200);
      });
      if (!films) return null;
      const ends = films.map((film, i) => {
        const {label} = about.methods[methods[i].name];
        const {passes, quality} = film.at(-1);
        return `${label}: ${passes} passes, ${seconds[i].toFixed(1)} s, ${dB(quality)}.`;
      });
      return ends.join(" ");
    }
    return main;
  }

  Object.assign(window.frugalExperiments, {
    blind: {look: "Which is DPS? Ten pairs, and a score.", go: "Start", make: blind},
    race: {look: "A race: each lane gets the same number of passes at a time.", go: "Start", make: race},
  });
  window.frugalGames = true;
})();
