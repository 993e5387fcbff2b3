"use strict";
/* Once formulas are set: a displayed one that is wider than its line is set smaller, down to seven tenths, and
   scrolls beyond that; an inline one that is wider than its paragraph scrolls by itself. */
window.addEventListener("load", () =>
  window.MathJax?.startup?.promise?.then(() => {
    const fit = () => {
      for (const formula of document.querySelectorAll(".bd-article div.math > mjx-container")) {
        formula.style.removeProperty("font-size");
        const ratio = formula.clientWidth / formula.scrollWidth;
        if (ratio < 1) formula.style.setProperty("font-size", `${Math.max(70, 97 * ratio)}%`, "important");
        formula.classList.toggle("scrolls", formula.scrollWidth > formula.clientWidth);
      }
      for (const formula of document.querySelectorAll(".bd-article mjx-container:not([display])")) {
        const around = formula.closest("p, li, td, dd, figcaption");
        formula.classList.toggle("wide", Boolean(around) && formula.offsetWidth > around.clientWidth);
      }
    };
    fit();
    document.addEventListener("toggle", fit, true); // a fold was opened
    window.addEventListener("resize", fit);
  }),
);
