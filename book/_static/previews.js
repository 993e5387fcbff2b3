"use strict";
/* A reference to an equation shows it, while it is pointed at or has the focus; Escape hides it. */
(() => {
  const equations = new URL("equations.js", document.currentScript.src);
  let box, loaded;
  const load = () =>
    (loaded ??= new Promise((done) => {
      document.head.append(
        Object.assign(document.createElement("script"), {src: equations, onload: done, onerror: done}),
      );
    }));
  const hide = () => box?.remove();
  const show = async (link) => {
    await load();
    const tex = window.frugalEquations?.[new URL(link.href).hash.slice(1)];
    if (!tex || !window.MathJax?.tex2chtmlPromise || !link.matches(":hover, :focus")) return;
    hide();
    box = Object.assign(document.createElement("div"), {className: "equation-preview", role: "tooltip"});
    box.append(await MathJax.tex2chtmlPromise(tex, {display: true}));
    MathJax.startup.document.clear();
    MathJax.startup.document.updateDocument();
    document.body.append(box);
    const at = link.getBoundingClientRect();
    const left = Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8);
    box.style.left = `${Math.max(8, left) + scrollX}px`;
    box.style.top = `${at.bottom + 6 + scrollY}px`;
  };
  for (const event of ["mouseover", "focusin"]) {
    document.addEventListener(event, ({target}) => {
      const link = target.closest?.(".bd-article a.reference[href*='#equation-']");
      if (link) show(link);
    });
  }
  for (const event of ["mouseout", "focusout"]) document.addEventListener(event, hide);
  document.addEventListener("keydown", ({key}) => key === "Escape" && hide());
})();
