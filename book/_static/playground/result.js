"use strict";
/* What a run shows: a picture for each method, first its guess and in the end the result; the curve; all
   draws; the film. */
window.frugalResult = (() => {
  const {P, make, canvas, draw, figure, save} = window.frugalPictures;
  const {about, passes} = window.frugalNetwork;
  const curve = window.frugalCurve;
  const $ = (id) => document.getElementById(`play-${id}`);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  /* A run of a job: films: [[state]] of the first draw and draws: [[picture]], by method. */
  function begin(job, y) {
    $("methods").replaceChildren();
    $("all").replaceChildren();
    $("all").hidden = job.draws < 2;
    $("moves").hidden = false;
    const panels = job.methods.map((own) => panel(job, own));
    const run = {
      job,
      y,
      panels,
      films: job.methods.map(() => []),
      draws: job.methods.map(() => []),
      done: 0,
      timed: {ms: 0, passes: 0},
    };
    run.all = job.draws * job.methods.reduce((sum, own) => sum + passes(own.name, job.steps, own.switch), 0);
    return run;
  }
  function panel(job, {name}) {
    const {label} = about.methods[name];
    const {element, shown, told: caption} = figure($("methods"), `${label}: waiting`);
    const chain = canvas(shown.width);
    const row = make("div", {className: "play-draws-row"});
    const around = make("div", {className: "play-frame"});
    Object.assign(chain, {className: "play-chain"}).setAttribute("aria-hidden", "true");
    around.append(shown, chain);
    element.prepend(around);
    if (job.draws > 1) $("all").append(make("p", {textContent: `${label}, all draws:`}), row);
    return {shown, caption, chain, row};
  }

  /* One state of a method: its guess, and small in the corner the noisy picture x_{k-1}; at the end the
     result alone. */
  function frame(run, method, {k, x, x0_hat, quality, passes: used}) {
    const {shown, caption, chain} = run.panels[method];
    const {label} = about.methods[run.job.methods[method].name];
    const last = k === 1;
    draw(shown, last ? x : x0_hat);
    draw(chain, x);
    chain.hidden = last;
    const what = last ? "the result" : `its guess with ${k - 1} ${k === 2 ? "step" : "steps"} left`;
    caption(`${label}: ${what}, ${quality.toFixed(1)} dB, ${used} passes`);
  }
  function plot(run) {
    const lines = run.job.methods.map(({name}, i) => ({
      ...about.methods[name],
      points: curve.points(run.films[i]),
    }));
    curve.draw($("curve"), {t: run.job.steps, lines});
  }
  const stale = (on) => $("results").classList.toggle("play-stale", on);

  /* Takes a state, and says how much of the run is done: {share, text}. */
  function take(run, state) {
    const {method, draw: number, k} = state;
    const states = run.films[method];
    const {job} = run;
    const used = state.passes - (run.before?.[method] || 0);
    const first = k === job.steps;
    run.before = {...run.before, [method]: k === 1 ? 0 : state.passes};
    run.done += used;
    if (number || !first) {
      // a first step also sets its network up
      run.timed.ms += state.ms;
      run.timed.passes += used;
    }
    if (number === 0) states.push(state);
    if (k === 1) finished(run, method, state.x);
    if (!calm || k % Math.ceil(job.steps / 4) === 1) {
      // four pictures a run where motion is not wanted
      frame(run, method, state);
      plot(run);
    }
    const left = ((run.timed.ms / run.timed.passes) * (run.all - run.done)) / 1000;
    const time = run.timed.passes > 3 ? `, about ${Math.ceil(left)} s left` : "";
    const draws = job.draws > 1 ? `, draw ${number + 1} of ${job.draws}` : "";
    return {
      share: run.done / run.all,
      text: `Pass ${run.done} of ${run.all} through the network${draws}${time}.`,
    };
  }
  function finished(run, method, x) {
    // every draw; of several also the mean and the spread
    const all = run.draws[method];
    const {row} = run.panels[method];
    const count = run.job.draws;
    all.push(x);
    if (count < 2) return;
    draw(figure(row, `draw ${all.length}`).shown, x);
    if (all.length < count) return;
    const mean = x.map((_, i) => all.reduce((sum, one) => sum + one[i], 0) / count);
    const variance = x.map(
      (_, i) => all.reduce((sum, one) => sum + (one[i] - mean[i]) ** 2, 0) / (count - 1),
    );
    const spread = x.map(
      (_, i) => 4 * Math.sqrt((variance[i % P] + variance[P + (i % P)] + variance[2 * P + (i % P)]) / 3) - 1,
    );
    draw(figure(row, "their mean").shown, mean);
    draw(figure(row, "their spread, white from 0.5 on").shown, spread);
  }

  /* What a finished run comes to, method by method. */
  function told(run) {
    return run.films
      .map((states, i) => {
        const at = curve.decided(states);
        const {quality, passes: used} = states.at(-1);
        const {label} = about.methods[run.job.methods[i].name];
        const decided =
          at === null
            ? "its guesses never agree to 20 dB"
            : `its guesses first agree to 20 dB with ${at} steps left`;
        return `${label}: ${quality.toFixed(1)} dB pSNR to the original in ${used} passes; ${decided}.`;
      })
      .join(" ");
  }

  /* The film: its slider goes from the first state that all methods have to the last. */
  let clock = null;
  function film(run) {
    const last = Math.min(...run.films.map((states) => states.length)) - 1;
    $("film").hidden = last < 1;
    if (last < 1) return;
    $("frame").max = $("frame").value = last;
    moved(run);
  }
  function moved(run) {
    const i = +$("frame").value;
    const {k} = run.films[0][i];
    run.films.forEach((states, method) => frame(run, method, states[i]));
    $("frame-now").textContent = `k = ${k}`;
    $("frame").setAttribute("aria-valuetext", `step k = ${k} of ${run.job.steps}`);
  }
  function pause() {
    clearInterval(clock);
    clock = null;
    $("replay").textContent = "Play the film";
  }
  function replay(run) {
    if (clock) return pause();
    const slider = $("frame");
    if (+slider.value === +slider.max) slider.value = 0;
    $("replay").textContent = "Pause";
    clock = setInterval(() => {
      slider.value = +slider.value + 1;
      moved(run);
      if (+slider.value === +slider.max) pause();
    }, 250);
    return moved(run);
  }

  /* One PNG: what was given, what each method has made of it so far, the picture itself. */
  function keep(run, task) {
    const {job, films, draws} = run;
    const pictures = [["given", [run.y, job.task === "inpaint" ? job.seen : null]]];
    films.forEach((states, i) => {
      if (!states.length) return;
      const {k, x0_hat, quality, passes: used} = states.at(-1);
      const {label} = about.methods[job.methods[i].name];
      const what = draws[i].length ? `${label}, the result` : `${label}, its guess with ${k - 1} steps left`;
      pictures.push([`${what}\n${quality.toFixed(1)} dB, ${used} passes`, [draws[i][0] || x0_hat]]);
    });
    pictures.push(["the original", [job.x0]]);
    const drawn = pictures.map(([caption, given]) => {
      const one = canvas(run.panels[0].shown.width);
      draw(one, ...given);
      return [one, caption];
    });
    const {steps, sigma, seed} = job;
    const title = `Frugal zero-shot restoration: ${task}; ${steps} steps, noise σ = ${sigma}, seed ${seed}`;
    save(`frugal-${job.task}-seed${seed}.png`, title, drawn);
  }

  return {begin, take, told, plot, film, moved, pause, replay, keep, stale};
})();
