"use strict";
/* The stage of an experiment: pictures with captions and bars, a curve, controls, one button that runs it.
   Before anything is loaded it shows a stored state. Returns {run, state} for the book's own tests. */
window.frugalStage = (place) => {
  const {make, draw, figure, preview, read} = window.frugalPictures;
  const {about, missing, run, stop} = window.frugalNetwork;
  const curve = window.frugalCurve;
  const experiment = window.frugalExperiments[place.dataset.experiment];
  const name = place.dataset.experiment;
  const add = (tag, parent, more = {}) => {
    const element = make(tag, more);
    parent.append(element);
    return element;
  };

  place.replaceChildren();
  place.classList.add("frugal-live");
  add("p", place, {className: "live-look", textContent: experiment.look});
  const pictures = add("div", place, {className: "live-pictures"});
  const controls = add("div", place, {className: "play-row"});
  const buttons = add("div", place, {className: "play-row"});
  const go = add("button", buttons, {
    type: "button",
    className: "play-main",
    textContent: experiment.go || "Run it here",
  });
  const halt = add("button", buttons, {
    type: "button",
    textContent: "Stop",
    hidden: true,
    onclick: () => halted(),
  });
  const told = add("p", place, {className: "live-told"});
  told.setAttribute("role", "status");

  let turn = 0;
  const say = (text) => {
    told.textContent = text;
  };
  function end(sentence) {
    working(false);
    say(sentence);
  }
  function halted() {
    turn += 1;
    stop();
    end("Stopped.");
  }
  function working(on) {
    go.hidden = on;
    halt.hidden = !on;
  }

  const ui = {say, panels: {}, data: document.querySelector(`script[data-for="${name}"]`)};
  /* A picture: show(x, seen) draws it, told(text) is its caption, bar(passes, most) its cost. */
  function picture(key, label) {
    const {element, shown, told: caption} = figure(pictures, label);
    const bar = add("div", element, {className: "live-bar", hidden: true});
    const panel = {
      element,
      shown,
      told: caption,
      show: (x, seen) => draw(shown, x, seen),
      bar: (passes, most) => {
        panel.cost = [passes, most];
        bar.hidden = false;
        bar.style.setProperty("--share", passes / most);
        bar.textContent = `${passes} passes`;
      },
    };
    ui.panels[key] = panel;
  }
  ui.pictures = (labels) => Object.entries(labels).forEach(([key, label]) => picture(key, label));
  /* A curve among the pictures, or below them; plot(chart) draws it (curve.js). */
  ui.curve = (caption, below) => {
    const element = add("figure", pictures, {className: "live-curve"});
    if (below) pictures.after(element);
    element.innerHTML = "<svg></svg>";
    add("figcaption", element, {textContent: caption});
    ui.plot = (chart) => {
      ui.chart = chart;
      curve.draw(element.firstChild, chart);
    };
  };
  /* A slider over `values`; text(value) stands beside it, changed() is called when it has come to rest. */
  ui.slider = (label, values, at, text, changed) => {
    const line = add("label", controls, {className: "play-grow"});
    line.append(`${label} `);
    const input = add("input", line, {type: "range", min: 0, max: values.length - 1, value: at});
    const output = add("output", line);
    const value = () => values[+input.value];
    const shown = () => {
      output.textContent = text(value());
      input.setAttribute("aria-valuetext", text(value()));
    };
    input.onkeydown = (event) => event.stopPropagation(); // the theme turns pages by arrow keys
    input.oninput = shown;
    input.onchange = changed;
    shown();
    return {value};
  };
  ui.menu = (label, options, changed) => {
    const line = add("label", controls);
    line.append(`${label} `);
    const select = add("select", line, {onchange: changed});
    for (const [value, words] of options) select.append(new Option(words, value));
    return {value: () => select.value};
  };
  ui.button = (words, onclick) => add("button", controls, {type: "button", textContent: words, onclick});
  ui.faces = (changed) =>
    ui.menu(
      "Face",
      about.faces.map((_, i) => [i, i + 1]),
      changed,
    );
  ui.face = (i) => read(about.faces[i]);
  /* Draws what is given of a job's picture, and the picture. */
  ui.given = (job) => {
    ui.panels.given.show(preview(window.frugalFormulas.given(job)), job.task === "inpaint" ? job.seen : null);
    ui.panels.original?.show(job.x0);
  };
  /* Runs a job to its end; -> its films by method, or null where it was stopped. each(state, films) on the
     way. */
  ui.play = async (job, each = () => {}) => {
    const mine = turn;
    const films = job.methods.map(() => []);
    const take = (now) => {
      if (mine !== turn) return;
      films[now.method].push(now);
      each(now, films);
    };
    const ended = await run({draws: 1, ...job}, take, say);
    return ended === "done" && mine === turn ? films : null;
  };

  /* Runs what the experiment does, `what` of its functions; a newer call ends the one before. */
  async function act(what) {
    turn += 1;
    const mine = turn;
    working(true);
    place.querySelector(".live-note")?.remove();
    say("");
    try {
      const sentence = await what();
      if (mine === turn) end(sentence || "Stopped, because something else began to run.");
    } catch (error) {
      if (mine === turn) end(`The network could not run: ${error.message || error}.`);
    }
  }
  ui.act = act;
  const main = experiment.make(ui);
  go.onclick = () => act(main);

  /* What is on the stage, as it is stored: each picture as a PNG, with caption and cost; the curve; what is
     said. */
  function state() {
    const shown = Object.entries(ui.panels).map(([key, {shown: one, element, cost}]) => {
      const caption = element.querySelector("figcaption").textContent;
      return {key, address: one.toDataURL(), caption, cost};
    });
    return {shown, chart: ui.chart, told: told.textContent};
  }
  function restored({shown, chart, told: words}) {
    for (const {key, address, caption, cost} of shown) {
      const panel = ui.panels[key];
      const image = new Image();
      image.onload = () => panel.shown.getContext("2d").drawImage(image, 0, 0);
      image.src = address;
      panel.told(caption);
      if (cost) panel.bar(...cost);
    }
    if (chart) ui.plot(chart);
    say(words);
  }
  const stored = window.frugalStored[name];
  if (stored) restored(stored);
  const reason = missing();
  if (reason) {
    for (const element of place.querySelectorAll("button, select, input")) element.disabled = true;
    say(`${reason} What is shown is a stored run.`);
  } else if (stored)
    add("span", buttons, {
      className: "live-note",
      textContent: `This is a stored run. The network, ${about.megabytes} MB, is read from beside this page.`,
    });
  return {run: () => act(main), state};
};
