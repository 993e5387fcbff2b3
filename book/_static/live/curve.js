"use strict";
/* A curve along a chain, from k = t on the left to k = 1 on the right. chart: {t, lines: [{label, colour,
   points: [[k, value], ...], t}], y: {label, ticks, log}, level: [value, its label]}. A line may have a t of
   its own; all but the first are dashed. */
window.frugalCurve = (() => {
  const LEFT = 38;
  const TOP = 22;
  const BOTTOM = 150;
  const AGREEMENT = {label: "pSNR / dB", ticks: [0, 10, 20, 30, 40, 50]}; // Eq. 6a

  const line = (path, more) => `<path d="${path}" fill="none" stroke="currentColor" ${more}/>`;
  const text = (x, y, words, anchor = "middle", more = "") =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" ${more}>${words}</text>`;

  function draw(svg, {t, lines, y = AGREEMENT, level = [20, "20 dB"]}) {
    const width = Math.max(180, svg.clientWidth); // so that a letter has its size
    const right = width - 40;
    const [least, most] = [y.ticks[0], y.ticks.at(-1)];
    const share = (v) =>
      y.log ? Math.log(v / least) / Math.log(most / least) : (v - least) / (most - least);
    const up = (v) => BOTTOM - share(Math.min(most, Math.max(least, v))) * (BOTTOM - TOP);
    const at = (k, of) => LEFT + ((of - k) / Math.max(1, of - 1)) * (right - LEFT);
    const parts = [line(`M${LEFT} ${TOP}V${BOTTOM}H${right}`, "")];
    for (const tick of y.ticks) parts.push(text(LEFT - 5, up(tick) + 4, tick, "end"));
    for (let i = 0; i <= 4; i++) {
      const k = Math.round(t - ((t - 1) * i) / 4);
      parts.push(text(at(k, t), BOTTOM + 14, k));
    }
    parts.push(text((LEFT + right) / 2, BOTTOM + 30, "steps that remain, k"));
    const middle = (TOP + BOTTOM) / 2;
    parts.push(text(0, 0, y.label, "middle", `transform="translate(10 ${middle}) rotate(-90)"`));
    parts.push(line(`M${LEFT} ${up(level[0])}H${right}`, 'stroke-dasharray="2 3"'));
    parts.push(text(right + 3, up(level[0]) + 4, level[1], "start"));
    const pitch = Math.min(130, (right - LEFT) / lines.length); // of the legend
    lines.forEach(({label, colour, points, t: of = t}, i) => {
      const style = `stroke="${colour}" stroke-width="2" ${i ? 'stroke-dasharray="7 3"' : ""}`;
      const where = points.map(([k, v]) => `${at(k, of).toFixed(1)},${up(v).toFixed(1)}`);
      parts.push(`<polyline points="${where.join(" ")}" fill="none" ${style}/>`);
      parts.push(
        `<path d="M${LEFT + pitch * i} 10h18" ${style}/>`,
        text(LEFT + 22 + pitch * i, 14, label, "start"),
      );
    });
    svg.setAttribute("viewBox", `0 0 ${width} 186`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", spoken(lines, y));
    svg.innerHTML = parts.join("");
  }
  function spoken(lines, y) {
    const last = lines.map(({label, points}) => {
      const [k, value] = points.at(-1) || [];
      return `${label}: ${k ? `${value.toPrecision(3)} at k = ${k}` : "none yet"}`;
    });
    return `${y.label} against the steps that remain. Last values: ${last.join("; ")}.`;
  }

  /* The points of a film, [{k, c}, ...], and the steps that remain when it first reaches 20 dB, or null. */
  const points = (film) => film.filter(({c}) => c !== null).map(({k, c}) => [k, c]);
  function decided(film) {
    const first = film.find(({c}) => c >= 20);
    return first ? first.k - 1 : null;
  }
  return {draw, points, decided};
})();
