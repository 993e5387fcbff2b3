"use strict";
/* Experiments in a page: every <div class="frugal-experiment" data-experiment="NAME"> becomes the
   experiment of that name in experiments.js. This is the only script that a page names; it fetches the
   others from beside itself. */
(() => {
  if (window.frugalLive) return;
  window.frugalLive = {};
  const here = document.currentScript.src;
  const SCRIPTS = [
    ["../playground/about.js", "frugalPlay"],
    ["../playground/formulas.js", "frugalFormulas"],
    ["pictures.js", "frugalPictures"],
    ["network.js", "frugalNetwork"],
    ["curve.js", "frugalCurve"],
    ["stage.js", "frugalStage"],
    ["stored.js", "frugalStored"],
    ["experiments.js", "frugalExperiments"],
    ["games.js", "frugalGames"],
  ];
  const script = (name) =>
    new Promise((resolve, reject) => {
      const element = document.createElement("script");
      Object.assign(element, {src: new URL(name, here).href, onload: resolve, onerror: reject});
      document.head.append(element);
    });
  async function start() {
    const style = document.createElement("link");
    Object.assign(style, {rel: "stylesheet", href: new URL("live.css", here).href});
    document.head.append(style);
    for (const [name, global] of SCRIPTS) if (!(global in window)) await script(name);
    for (const place of document.querySelectorAll(".frugal-experiment"))
      window.frugalLive[place.dataset.experiment] = window.frugalStage(place);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
