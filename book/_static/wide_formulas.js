"use strict";
/* Marks inline formulas that are wider than the paragraph they stand in, once they are set. */
window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(() => {
  for (const formula of document.querySelectorAll(".bd-article mjx-container:not([display])")) {
    const around = formula.closest("p, li, td, dd, figcaption");
    formula.classList.toggle("wide", Boolean(around) && formula.offsetWidth > around.clientWidth);
  }
}));
